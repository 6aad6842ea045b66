#!lua flags=no-writes
-- Counts a network's addresses in use and cooling.
-- KEYS  meta addresses4 cooling4 addresses6 cooling6 (network)
-- ARGV  schema
-- OUT   ok USED4 COOLING4 USED6 COOLING6 | absent | store_schema SCHEMA
local schema = redis.call('HGET', KEYS[1], 'schema')
if not schema then return { 'absent' } end
if tonumber(schema) > tonumber(ARGV[1]) then return { 'store_schema', schema } end
local time = redis.call('TIME')
local now = string.format('(%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
return { 'ok', tostring(redis.call('HLEN', KEYS[2])), tostring(redis.call('ZCOUNT', KEYS[3], now, '+inf')),
  tostring(redis.call('HLEN', KEYS[4])), tostring(redis.call('ZCOUNT', KEYS[5], now, '+inf')) }
