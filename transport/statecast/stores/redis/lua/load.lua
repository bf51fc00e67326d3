-- Read a thread, all of it at one moment. A log that somebody has deleted is nil; an empty one is there.
-- KEYS: meta, snap, log, inbox, ids, memory. Return what is in them; nothing if there is no such thread.
local known = redis.call('HMGET', KEYS[1], 'agent', 'epoch', 'lasting', 'revision', 'run')
if not known[2] then
    return false
end
return {
    known,
    redis.call('GET', KEYS[2]),
    redis.call('EXISTS', KEYS[3]) == 1 and redis.call('XRANGE', KEYS[3], '-', '+'),
    redis.call('HGETALL', KEYS[4]),
    redis.call('HGETALL', KEYS[5]),
    redis.call('HGETALL', KEYS[6])
}
