-- Return the records of one kind, as HGETALL does. The others are not sent: a history may be megabytes.
-- KEYS: records, a hash by kind and id. ARGV: what the fields of the kind begin with.
local found = {}
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if string.sub(field, 1, #ARGV[1]) == ARGV[1] then
        found[#found + 1] = field
        found[#found + 1] = redis.call('HGET', KEYS[1], field)
    end
end
return found
