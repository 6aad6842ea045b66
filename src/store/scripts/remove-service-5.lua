#!lua flags=allow-oom
-- Removes a service; its backends go on as endpoints of none.
-- KEYS  meta changes services names vips (network)
-- ARGV  schema root channel origin id
-- OUT   ok removed(0|1) [INCARNATION AT BEFORE] | gone | absent | store_schema SCHEMA | store_lost_writes
local meta = redis.call('HMGET', KEYS[1], 'schema', 'root', 'state', 'incarnation')
if not meta[1] then return { 'absent' } end
if tonumber(meta[1]) > tonumber(ARGV[1]) then return { 'store_schema', meta[1] } end
if ARGV[2] ~= '' and meta[2] ~= ARGV[2] then return { 'store_lost_writes' } end
if meta[3] == 'gone' then return { 'gone' } end

-- include: changed

local id = ARGV[5]
local document = redis.call('HGET', KEYS[3], id)
if not document then return { 'ok', '0' } end
local owners = redis.call('HGETALL', KEYS[5])
for i = 1, #owners, 2 do
  if owners[i + 1] == id then redis.call('HDEL', KEYS[5], owners[i]) end
end
redis.call('HDEL', KEYS[3], id)
redis.call('HDEL', KEYS[4], cjson.decode(document).name)
return { 'ok', '1', meta[4], changed('service', id) }
