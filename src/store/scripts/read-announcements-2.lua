#!lua flags=no-writes
-- What others have announced to a node, or one of them has.
-- KEYS  meta announcements (registry; the last one is the receiver's)
-- ARGV  schema sender ('' = all)
-- OUT   ok [sender text …] | absent | store_schema SCHEMA
local schema = redis.call('HGET', KEYS[1], 'schema')
if not schema then return { 'absent' } end
if tonumber(schema) > tonumber(ARGV[1]) then return { 'store_schema', schema } end
if ARGV[2] == '' then return { 'ok', redis.call('HGETALL', KEYS[2]) } end
local text = redis.call('HGET', KEYS[2], ARGV[2])
return { 'ok', text and { ARGV[2], text } or {} }
