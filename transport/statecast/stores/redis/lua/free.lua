-- Return which threads no process holds, counted from 0.
-- KEYS: of each thread its meta.
local time, free = now(), {}
for i, meta in ipairs(KEYS) do
    if tonumber(redis.call('HGET', meta, 'until') or '0') <= time then
        free[#free + 1] = i - 1
    end
end
return free
