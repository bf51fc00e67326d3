-- Write changes to threads of one partition, all or none.
-- KEYS: unsettled, idle, idle_other, count, owned; of each thread what FIELDS says; then where replies go.
-- ARGV: "check" to write nothing, or "write"; the store's time; how many threads; of each its name, its id, "1" if it has an
-- owner, the token it is written under, or nothing, the number of the batch that a script wrote last under it, and this
-- one's; then of each change its kind, its thread, how many values follow, and the values.
-- Return "done"; "fenced"; "refused" and why; or "again" if something else was written under the token.
local FIELDS = {'meta', 'log', 'snap', 'inbox', 'ids', 'memory', 'records', 'card', 'posts', 'index'}
local PARTITION = 5
local unsettled, idle, idle_other, count, owned = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local only_check, time, threads, at = ARGV[1] == 'check', ARGV[2], {}, 3

for n = 1, tonumber(ARGV[3]) do
    local thread = {}
    for i, field in ipairs(FIELDS) do
        thread[field] = KEYS[PARTITION + (n - 1) * #FIELDS + i]
    end
    thread.name, thread.id, thread.owned, thread.token, thread.last, thread.number = unpack(ARGV, at + 1, at + 6)
    at = at + 6
    local known = redis.call('HMGET', thread.meta, 'token', 'number', 'epoch', 'until')
    thread.claimed = thread.token ~= ''
    if thread.claimed then
        if known[1] ~= thread.token then
            return {'fenced'}
        end
        if known[2] ~= thread.last then
            return {'again'}
        end
    else
        thread.token = known[1]
    end
    thread.exists, thread.before = known[3] and true or false, known[3]
    thread.torn = thread.exists and redis.call('EXISTS', thread.log) == 0
    thread.carded = redis.call('EXISTS', thread.card) == 1
    thread.held = known[4] and tonumber(known[4]) > now()
    threads[n] = thread
end

local changes = {}
while at < #ARGV do
    local size = tonumber(ARGV[at + 3])
    local change = {kind = ARGV[at + 1], thread = threads[tonumber(ARGV[at + 2])], first = at + 4, last = at + 3 + size}
    change.to = change.kind == 'Moved' and threads[tonumber(ARGV[at + 4])]
    changes[#changes + 1] = change
    at = change.last
end

-- What is wrong with a change of a kind, as far as it depends on what is there; each follows its change.
-- All kinds that are not here need a thread.
local fits = {}
function fits.Created(thread)
    if thread.exists then
        return 'the store has the thread already'
    end
    thread.exists, thread.before = true, false
end
function fits.Deleted(thread)
    thread.exists, thread.carded, thread.before = false, false, false
end
function fits.SummaryChanged(thread)
    thread.carded = true
end
function fits.Moved(thread, to)
    if to.exists or to.carded then
        return 'the store has a thread of that id and owner already'
    end
    to.exists, to.carded, to.before = thread.exists, thread.carded, false
    thread.exists, thread.carded = false, false
end
function fits.Written()
end
fits.Erased, fits.PostTaken = fits.Written, fits.Written

-- Kinds that do not need the log, but for a move, and that do not say that a thread is in use.
local beside = {Written = true, Erased = true, SummaryChanged = true, Moved = true, Deleted = true, PostTaken = true}

for _, change in ipairs(changes) do
    local thread, to, fit = change.thread, change.to, fits[change.kind]
    if to and thread.claimed and not to.claimed and to.held then
        return {'fenced'}
    end
    if thread.torn and thread.before and (to or not beside[change.kind]) then -- its process finds out when it reads it
        return {'fenced'}
    elseif fit then
        local wrong = fit(thread, to)
        if wrong then
            return {'refused', wrong}
        end
    elseif not thread.exists then
        return {'refused', 'the store has no such thread to write to'}
    elseif change.kind == 'Appended' and thread.before and not thread.behind then
        thread.behind = true
        local token, revision = head(thread.log)
        local mine = tonumber(thread.token or '0')
        if mine < token or (mine == token and tonumber(ARGV[change.first]) <= revision) then
            return {'again'}
        end
    end
end
if only_check then
    return {'done'}
end

-- Return the token that a thread is written under: where nobody has claimed it, a new one.
local function token_of(thread)
    if not thread.token then
        thread.token = digits(floor(count) + 1)
        redis.call('HSET', thread.meta, 'token', thread.token, 'number', '0', 'base', '0')
    end
    return thread.token
end

-- Begin a thread's log at a revision, with nothing in it.
local function begin(thread, revision)
    redis.call('DEL', thread.log)
    redis.call('XADD', thread.log, token_of(thread) .. '-' .. revision, 'r', '')
    redis.call('XTRIM', thread.log, 'MAXLEN', 0)
end

-- Remember when a thread was written to, or its summary.
local function touch(thread)
    local lasting = redis.call('HGET', thread.meta, 'lasting')
    redis.call('ZADD', lasting == '0' and idle_other or idle, 'GT', time, thread.name)
end

-- Return how a summary stands in its owner's index, and how it is found by the app's id.
local function index_of(thread)
    local card = redis.call('HMGET', thread.card, 'place', 'archived', 'mark', 'born')
    if card[1] then
        local listed = (card[2] == '1' and 'z' or 'a') .. card[1] .. thread.id
        return listed, card[3] and 'x' .. card[3] .. card[4] .. thread.id
    end
end

local function take_from_index(thread)
    local listed, named = index_of(thread)
    if listed then
        redis.call('ZREM', thread.index, listed, named or listed)
    end
end

local function add_to_index(thread)
    local listed, named = index_of(thread)
    redis.call('ZADD', thread.index, 0, listed, 0, named or listed)
end

-- Count the summaries of an id that have an owner.
local function count_owned(thread, by)
    if thread.owned == '1' and redis.call('HINCRBY', owned, thread.id, by) <= 0 then
        redis.call('HDEL', owned, thread.id)
    end
end

local write = {}
function write.Created(thread, agent, epoch, lasting, state)
    begin(thread, '0')
    redis.call('HSET', thread.meta, 'agent', agent, 'epoch', epoch, 'lasting', lasting, 'open', '0', 'revision', '0', 'run',
        'null', 'version', '0', 'base', '0')
    redis.call('PERSIST', thread.meta)
    redis.call('SET', thread.snap, state)
    redis.call('ZREM', lasting == '0' and idle or idle_other, thread.name)
    touch(thread)
end

function write.Appended(thread, revision, open, ...)
    redis.call('XADD', thread.log, token_of(thread) .. '-' .. revision, ...)
    if open ~= '' then
        redis.call('HSET', thread.meta, 'open', open)
    end
end

function write.BatchAccepted(thread, run, data)
    put(thread.inbox, run, data, count)
    redis.call('HINCRBY', thread.meta, 'version', 1)
end

function write.BatchChanged(thread, run, data)
    if redis.call('HEXISTS', thread.inbox, run) == 1 then
        write.BatchAccepted(thread, run, data)
    end
end

function write.BatchSettled(thread, run)
    redis.call('HDEL', thread.inbox, run)
    redis.call('HINCRBY', thread.meta, 'version', 1)
end

function write.BatchApplied(thread, command, data)
    redis.call('HSET', thread.ids, command, data)
end

-- Entries of older tokens end where the token was claimed. A snapshot of before leaves its entries: the next takes them.
function write.Compacted(thread, revision, state, run)
    local upto = tonumber(revision)
    redis.call('SET', thread.snap, state)
    redis.call('HSET', thread.meta, 'revision', revision, 'run', run)
    if upto >= tonumber(redis.call('HGET', thread.meta, 'base') or '0') then
        redis.call('XTRIM', thread.log, 'MINID', token_of(thread) .. '-' .. digits(upto + 1))
    end
    local _, last = head(thread.log)
    if last < upto then
        redis.call('XSETID', thread.log, token_of(thread) .. '-' .. revision)
    end
end

function write.Assigned(thread, agent)
    redis.call('HSET', thread.meta, 'agent', agent)
    redis.call('HINCRBY', thread.meta, 'version', 1)
end

function write.Renewed(thread, epoch)
    redis.call('HSET', thread.meta, 'epoch', epoch)
end

function write.Written(thread, where, field, data)
    put(thread[where], field, data, count)
end

function write.Erased(thread, where, field)
    redis.call('HDEL', thread[where], field)
end

function write.SummaryChanged(thread, at, place, last, last_place, ...)
    if redis.call('EXISTS', thread.card) == 1 then
        take_from_index(thread)
    else
        redis.call('HSET', thread.card, 'created', at, 'born', place, 'last', at, 'place', place, 'archived', '0')
        count_owned(thread, 1)
    end
    redis.call('HSET', thread.card, 'updated', at)
    if last ~= '' then
        redis.call('HSET', thread.card, 'last', last, 'place', last_place)
    end
    local fields = {...}
    for i = 1, #fields, 3 do
        if fields[i] == 'set' then
            redis.call('HSET', thread.card, fields[i + 1], fields[i + 2])
        else
            redis.call('HDEL', thread.card, fields[i + 1])
        end
    end
    add_to_index(thread)
    if redis.call('HGET', thread.meta, 'lasting') ~= '0' then
        touch(thread)
    end
end

function write.Moved(thread, n)
    local to = threads[tonumber(n)]
    take_from_index(thread)
    if redis.call('EXISTS', thread.card) == 1 then
        count_owned(thread, -1)
        count_owned(to, 1)
    end
    for _, field in ipairs({'snap', 'inbox', 'ids', 'memory', 'records', 'card'}) do
        if redis.call('EXISTS', thread[field]) == 1 then
            redis.call('RENAME', thread[field], to[field])
        end
    end
    if redis.call('EXISTS', to.card) == 1 then
        add_to_index(to)
    end
    local names = {'agent', 'epoch', 'lasting', 'open', 'revision', 'run', 'version'}
    local known = redis.call('HMGET', thread.meta, unpack(names))
    if known[2] then
        if not to.claimed then
            to.token = digits(tonumber(to.token or floor(count)) + 1)
            redis.call('HSET', to.meta, 'token', to.token, 'number', '0', 'until', '0')
        end
        local _, last = head(thread.log)
        -- The entries are written again, since their ids are to be below those that the new token will have.
        begin(to, '0')
        for _, entry in ipairs(redis.call('XRANGE', thread.log, '-', '+')) do
            redis.call('XADD', to.log, to.token .. '-' .. string.match(entry[1], '%d+$'), unpack(entry[2]))
        end
        redis.call('XSETID', to.log, to.token .. '-' .. digits(last))
        for i, name in ipairs(names) do
            redis.call('HSET', to.meta, name, known[i])
        end
        redis.call('HSET', to.meta, 'base', digits(last))
        redis.call('PERSIST', to.meta)
    end
    for _, set in ipairs({idle, idle_other}) do
        local score = redis.call('ZSCORE', set, thread.name)
        if score then
            redis.call('ZADD', set, score, to.name)
        end
    end
    write.Deleted(thread)
end

-- The token stays, with whose it is: nobody who has claimed the thread before can write one of the same name.
function write.Deleted(thread)
    take_from_index(thread)
    if redis.call('EXISTS', thread.card) == 1 then
        count_owned(thread, -1)
    end
    redis.call('UNLINK', thread.log, thread.snap, thread.inbox, thread.ids, thread.memory, thread.records, thread.card)
    redis.call('HDEL', thread.meta, 'agent', 'epoch', 'lasting', 'open', 'revision', 'run', 'version')
    redis.call('ZREM', idle, thread.name)
    redis.call('ZREM', idle_other, thread.name)
    local known = redis.call('HMGET', thread.meta, 'token', 'until')
    if known[1] then
        raise_floor(count, known[1])
        redis.call('PEXPIRE', thread.meta, digits(math.max(0, tonumber(known[2] or '0') - now()) + REMEMBERED))
    end
end

function write.PostTaken(thread, replies, id, reply)
    redis.call('HDEL', thread.posts, id)
    local key = KEYS[tonumber(replies)]
    redis.call('HSET', key, id, reply)
    redis.call('EXPIRE', key, 120)
end

for _, change in ipairs(changes) do
    local thread = change.thread
    write[change.kind](thread, unpack(ARGV, change.first, change.last))
    if not beside[change.kind] then
        thread.touched = true
    end
end
for _, thread in ipairs(threads) do
    local known = redis.call('HMGET', thread.meta, 'open', 'until', 'epoch')
    if known[3] and thread.touched then
        touch(thread)
    end
    if known[1] == '1' or redis.call('EXISTS', thread.inbox, thread.posts) > 0 then
        redis.call('ZADD', unsettled, known[2] or '0', thread.name)
    else
        redis.call('ZREM', unsettled, thread.name)
    end
    if thread.claimed then
        redis.call('HSET', thread.meta, 'number', thread.number)
    end
end
return {'done'}
