-- Store a call to whoever holds a thread, unless it is there, or answered already.
-- KEYS: meta, posts, replies, unsettled, count. ARGV: the thread's name, the call's id, the call.
if redis.call('HEXISTS', KEYS[3], ARGV[2]) == 1 then
    return
end
put(KEYS[2], ARGV[2], ARGV[3], KEYS[5])
redis.call('ZADD', KEYS[4], redis.call('HGET', KEYS[1], 'until') or '0', ARGV[1])
