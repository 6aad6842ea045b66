#!lua flags=allow-oom
-- First step of a removal: from here on the slot takes no endpoint.
-- KEYS  meta endpoints services (network)
-- ARGV  schema root force(1|0)
-- OUT   ok | network_in_use ENDPOINTS SERVICES | gone | store_schema SCHEMA | store_lost_writes
local meta = redis.call('HMGET', KEYS[1], 'schema', 'root', 'state')
if not meta[1] then
  -- Never opened: the mark keeps an attach under way from opening it now.
  redis.call('HSET', KEYS[1], 'schema', ARGV[1], 'root', ARGV[2], 'state', 'closing')
  return { 'ok' }
end
if tonumber(meta[1]) > tonumber(ARGV[1]) then return { 'store_schema', meta[1] } end
if ARGV[2] ~= '' and meta[2] ~= ARGV[2] then return { 'store_lost_writes' } end
if meta[3] == 'gone' then return { 'gone' } end
local count = redis.call('HLEN', KEYS[2])
local services = redis.call('HLEN', KEYS[3])
if count + services > 0 and ARGV[3] ~= '1' then return { 'network_in_use', tostring(count), tostring(services) } end
if meta[3] ~= 'closing' then redis.call('HSET', KEYS[1], 'state', 'closing') end
return { 'ok' }
