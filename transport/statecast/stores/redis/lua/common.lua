-- What the scripts share; it stands before each of them.
--
-- The id of a log's entry is <token>-<revision of the last line in it>. The stream refuses every id that is not above its
-- last one. So once a claim has raised that, by XSETID, no older token can append any more, with or without a script.
-- Rule: a script checks everything first and writes afterwards, since what it wrote before a failing call stays.

-- How long a claim of a thread that does not exist is remembered, milliseconds; then `floor` stands for its token.
local REMEMBERED = 3600000

-- Return the server's time in milliseconds.
local function now()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Return a whole number as it is written: tostring() would round it.
local function digits(number)
    return string.format('%.0f', number)
end

-- Return the token and the revision of the last id that a log has given; 0 and 0 if somebody has deleted its key.
local function head(log)
    if redis.call('EXISTS', log) == 0 then
        return 0, 0
    end
    local info = redis.call('XINFO', 'STREAM', log)
    for i = 1, #info, 2 do
        if info[i] == 'last-generated-id' then
            local token, revision = string.match(info[i + 1], '^(%d+)-(%d+)$')
            return tonumber(token), tonumber(revision)
        end
    end
end

-- Return the number behind every token that was given to a thread which is remembered no more.
local function floor(count)
    return tonumber(redis.call('HGET', count, 'floor') or '0')
end

-- Remember the token of a thread that does not exist, in case its key goes.
local function raise_floor(count, token)
    if tonumber(token) > floor(count) then
        redis.call('HSET', count, 'floor', token)
    end
end

-- Set a field of a hash, behind those that were set before, or in its own place; fields carry their place in front.
local function put(hash, field, data, count)
    local before = redis.call('HGET', hash, field)
    local place = before and string.sub(before, 1, 12) or string.format('%012.0f', redis.call('HINCRBY', count, 'place', 1))
    redis.call('HSET', hash, field, place .. data)
end
