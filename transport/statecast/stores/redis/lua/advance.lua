-- Bring the stored time forward, and return it.
-- KEYS: time. ARGV: seconds and a checksum, as `Clock.written` returns them.
local before = redis.call('GET', KEYS[1])
if before and tonumber(string.match(before, '^%S+')) >= tonumber(string.match(ARGV[1], '^%S+')) then
    return before
end
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]
