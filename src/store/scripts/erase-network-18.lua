#!lua flags=allow-oom
-- Forgets a network's slot altogether, also that it was removed: a backup says anew what is there.
-- KEYS  meta, then every other key (network)
-- ARGV  schema
-- OUT   ok | store_schema SCHEMA
local schema = redis.call('HGET', KEYS[1], 'schema')
if schema and tonumber(schema) > tonumber(ARGV[1]) then return { 'store_schema', schema } end
redis.call('UNLINK', unpack(KEYS))
return { 'ok' }
