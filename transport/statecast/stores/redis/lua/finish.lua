-- Make a file of pieces that are all there, in place of the one of its name.
-- KEYS: file, pieces, the pieces of the file before. ARGV: how many pieces, the upload, the upload before; type, owner, size.
-- Return "again" if another upload is before this one, and "gone" if pieces are missing.
if (redis.call('HGET', KEYS[1], 'upload') or '') ~= ARGV[3] then
    return 'again'
end
if redis.call('HLEN', KEYS[2]) ~= tonumber(ARGV[1]) then
    return 'gone'
end
redis.call('PERSIST', KEYS[2])
redis.call('UNLINK', KEYS[3])
redis.call('HSET', KEYS[1], 'upload', ARGV[2], 'type', ARGV[4], 'owner', ARGV[5], 'size', ARGV[6])
return 'done'
