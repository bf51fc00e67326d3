-- Look at what was written to a thread last.
-- KEYS: meta, log. Return the token, the number of the batch that a script wrote last under it, and the
-- token and revision of the log's end.
local known = redis.call('HMGET', KEYS[1], 'token', 'number')
local token, revision = head(KEYS[2])
return {known[1] or '0', known[2] or '0', digits(token), digits(revision)}
