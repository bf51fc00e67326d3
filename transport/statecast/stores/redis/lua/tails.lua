-- Find what is new on threads.
-- KEYS: of each thread its meta, log and inbox. ARGV: how many bytes of entries, about; of each thread an epoch, a revision and a
-- version. Return of each thread where anything is new: its number, counted from 0; then nothing if there is no such
-- thread, else its agent, epoch, version, the revisions of its snapshot and its end, the entries after the revision, how many
-- more there are, and the inbox if it is another version's.
local most = tonumber(ARGV[1])

-- Return the entries after a revision, the latest first. Most often it is one, or none: so look from the end.
-- Return the latest revision as well, where the entries say it.
local function since(log, revision)
    local found, to, size, last = {}, '+', 2, nil
    while true do
        local page = redis.call('XREVRANGE', log, to, '-', 'COUNT', size)
        for _, entry in ipairs(page) do
            local upto = tonumber(string.match(entry[1], '%d+$'))
            last = last or upto
            if upto <= revision then
                return found, last
            end
            found[#found + 1] = entry
        end
        if #page < size then
            return found, last
        end
        to, size = '(' .. page[#page][1], 16
    end
end

-- Return the bytes of an entry, about.
local function size_of(entry)
    local size = 0
    for _, value in ipairs(entry[2]) do
        size = size + #value
    end
    return size
end

local result = {}
for i = 0, #KEYS / 3 - 1 do
    local meta, log, inbox = KEYS[3 * i + 1], KEYS[3 * i + 2], KEYS[3 * i + 3]
    local epoch, revision, version = ARGV[3 * i + 2], tonumber(ARGV[3 * i + 3]), ARGV[3 * i + 4]
    local known = redis.call('HMGET', meta, 'agent', 'epoch', 'version', 'revision')
    local backwards, last = {}, revision
    if known[2] == epoch then
        backwards, last = since(log, revision)
        if not last or last < revision then
            local _
            _, last = head(log)
        end
    end
    if not known[2] then
        result[#result + 1] = {i}
    elseif known[2] ~= epoch or #backwards > 0 or known[3] ~= version or last ~= revision then
        local entries, size, k = {}, 0, #backwards
        while k > 0 and size <= most do
            entries[#entries + 1] = backwards[k]
            size = size + size_of(backwards[k])
            k = k - 1
        end
        local batches = known[3] ~= version and redis.call('HGETALL', inbox) or {}
        known[5], known[6], known[7], known[8] = digits(last), entries, k, batches
        result[#result + 1] = {i, known}
    end
end
return result
