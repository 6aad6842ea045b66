#!lua
-- Makes the cluster, or finds it: of two at once, one makes it and both get the same answer.
-- KEYS  meta changes (registry)
-- ARGV  schema channel clusterId incarnation name ula dataPort underlayFamily
-- OUT   ok created(0|1) clusterId name incarnation ula dataPort underlayFamily limits schema | store_schema SCHEMA
local meta = KEYS[1]
local schema = redis.call('HGET', meta, 'schema')
if schema and tonumber(schema) > tonumber(ARGV[1]) then return { 'store_schema', schema } end
local created = '0'
if not schema then
  created = '1'
  redis.call('DEL', KEYS[2])
  redis.call('HSET', meta, 'schema', ARGV[1], 'clusterId', ARGV[3], 'incarnation', ARGV[4], 'root', ARGV[4],
    'name', ARGV[5], 'ula', ARGV[6], 'dataPort', ARGV[7], 'underlayFamily', ARGV[8], 'rev', 0)
  redis.call('PUBLISH', ARGV[2], '')
end
local found = redis.call('HMGET', meta, 'clusterId', 'name', 'incarnation', 'ula', 'dataPort', 'underlayFamily', 'limits', 'schema')
return { 'ok', created, unpack(found, 1, 8) }
