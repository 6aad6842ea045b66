#!lua flags=no-writes
-- All leases, and the store's time they are judged by.
-- KEYS  meta leases (registry)
-- ARGV  schema
-- OUT   ok NOW [id `EPOCH EXPIRES SEEN` …] | absent | store_schema SCHEMA
local schema = redis.call('HGET', KEYS[1], 'schema')
if not schema then return { 'absent' } end
if tonumber(schema) > tonumber(ARGV[1]) then return { 'store_schema', schema } end
local time = redis.call('TIME')
return { 'ok', string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)), redis.call('HGETALL', KEYS[2]) }
