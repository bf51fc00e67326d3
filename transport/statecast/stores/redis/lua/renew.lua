-- Renew claims, or give them up: then the milliseconds are 0.
-- KEYS: unsettled, and of each thread its meta. ARGV: milliseconds, and of each thread its token and its name.
-- Return which of the threads, counted from 0, have another token.
local unsettled, long = KEYS[1], tonumber(ARGV[1])
local till = now() + long
local lost = {}
for i = 2, #KEYS do
    local meta, token, name = KEYS[i], ARGV[2 * i - 2], ARGV[2 * i - 1]
    local known = redis.call('HMGET', meta, 'token', 'epoch')
    if known[1] ~= token then
        lost[#lost + 1] = i - 2
    else
        redis.call('HSET', meta, 'until', digits(till))
        if not known[2] then
            redis.call('PEXPIRE', meta, digits(long + REMEMBERED))
        end
        redis.call('ZADD', unsettled, 'XX', digits(till), name)
    end
end
return lost
