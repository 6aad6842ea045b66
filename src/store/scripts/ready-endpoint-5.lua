#!lua flags=allow-oom
-- The endpoint's node has built it: packets can leave.
-- KEYS  meta changes endpoints epochs holds (network)
-- ARGV  schema root channel origin id epoch
-- OUT   ok DOCUMENT INCARNATION AT BEFORE | ok DOCUMENT (it was already) | endpoint_not_found | stale_epoch CURRENT
--       | network_closing | gone | absent | store_schema SCHEMA | store_lost_writes
local meta = redis.call('HMGET', KEYS[1], 'schema', 'root', 'state', 'incarnation')
if not meta[1] then return { 'absent' } end
if tonumber(meta[1]) > tonumber(ARGV[1]) then return { 'store_schema', meta[1] } end
if ARGV[2] ~= '' and meta[2] ~= ARGV[2] then return { 'store_lost_writes' } end
if meta[3] == 'gone' then return { 'gone' } end

-- include: changed

local id, epoch = ARGV[5], tonumber(ARGV[6])
local document = redis.call('HGET', KEYS[3], id)
if not document then return { 'endpoint_not_found' } end
local node = redis.call('HGET', KEYS[5], id):match('^[^\n]*')
local newest = tonumber(redis.call('HGET', KEYS[4], node) or 0)
if epoch < newest then return { 'stale_epoch', tostring(newest) } end
if epoch > newest then redis.call('HSET', KEYS[4], node, epoch) end
if meta[3] == 'closing' then return { 'network_closing' } end
local ready = document:gsub('\n"state":"%a+"}$', '\n"state":"ready"}')
if ready == document then return { 'ok', document } end
redis.call('HSET', KEYS[3], id, ready)
return { 'ok', ready, meta[4], changed('endpoint', id, ready) }
