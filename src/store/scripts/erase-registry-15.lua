#!lua flags=allow-oom
-- Forgets the registry, all at once, but its join tokens: a backup says anew what is there.
-- KEYS  meta nodes announcements, then every other key (registry; the announcements' without a node)
-- ARGV  schema
-- OUT   ok | store_schema SCHEMA
local schema = redis.call('HGET', KEYS[1], 'schema')
if schema and tonumber(schema) > tonumber(ARGV[1]) then return { 'store_schema', schema } end
-- They differ in the id at the end and are in the same slot; whose they are is known only here.
for _, node in ipairs(redis.call('HKEYS', KEYS[2])) do redis.call('UNLINK', KEYS[3] .. node) end
redis.call('UNLINK', unpack(KEYS))
return { 'ok' }
