-- Claim a thread, unless another process holds it.
-- KEYS: meta, log, unsettled, count. ARGV: the thread's name, process, milliseconds.
-- Return "held" and the process, or the token, the epoch if there is such a thread, and the revision.
local meta, log, unsettled, count = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local name, me, long = ARGV[1], ARGV[2], tonumber(ARGV[3])
local time = now()
local known = redis.call('HMGET', meta, 'token', 'process', 'until', 'epoch')
local before, process, epoch = known[1], known[2], known[4]
if process and process ~= me and tonumber(known[3]) > time then
    return {'held', process}
end
local token = digits((before and tonumber(before) or floor(count)) + 1)
local revision = 0
if epoch then
    local given, last = head(log)
    revision = last
    if given > 0 then
        -- From here on the log refuses whoever has claimed the thread before.
        redis.call('XSETID', log, token .. '-' .. digits(revision))
    end
end
redis.call('HSET', meta, 'token', token, 'process', me, 'until', digits(time + long), 'number', '0', 'base', digits(revision))
if not epoch then
    raise_floor(count, token)
    redis.call('PEXPIRE', meta, digits(long + REMEMBERED))
end
redis.call('ZADD', unsettled, 'XX', digits(time + long), name)
return {token, epoch, digits(revision)}
