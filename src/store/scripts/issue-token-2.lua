-- Makes a join token, or names the standing one of a role. No revision: agents have nothing to do about it.
-- KEYS  meta tokens (registry)
-- ARGV  schema root id role ttlMs(0: never ends) uses(0: any number) standing(0|1) rotate(0|1)
-- OUT   ok ID | absent | store_schema SCHEMA | store_lost_writes
-- A token is `ROLE ENDS USES`: the store's milliseconds at which it ends and the uses left, 0 where there is no bound.
local meta = redis.call('HMGET', KEYS[1], 'schema', 'root')
if not meta[1] then return { 'absent' } end
if meta[1] ~= ARGV[1] then return { 'store_schema', meta[1] } end
if ARGV[2] ~= '' and meta[2] ~= ARGV[2] then return { 'store_lost_writes' } end

local id, role, ttl, uses = ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local standing = redis.call('HGET', KEYS[2], 'standing:' .. role)
if standing and ARGV[8] == '1' then
  redis.call('HDEL', KEYS[2], standing, 'standing:' .. role)
  standing = false
end
if ARGV[7] == '1' then
  if standing then return { 'ok', standing } end
  redis.call('HSET', KEYS[2], 'standing:' .. role, id)
end
redis.call('HSET', KEYS[2], id, role .. ' ' .. string.format('%.0f', ttl > 0 and now + ttl or 0) .. ' ' .. uses)
return { 'ok', id }
