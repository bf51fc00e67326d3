-- Return the names of a partition's threads that have work left and that no process holds.
-- KEYS: unsettled, whose scores are when the claims end.
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', digits(now()))
