#!lua
-- Makes a join token, or names the standing one of a role. Agents have nothing to do about it; the change is for the audit.
-- KEYS  meta changes tokens (registry)
-- ARGV  schema root channel origin id role ttlMs(0: never ends) uses(0: any number) standing(0|1) rotate(0|1)
-- OUT   ok ID | absent | store_schema SCHEMA | store_lost_writes
-- A token is `ROLE ENDS USES`: the store's milliseconds at which it ends and the uses left, 0 where there is no bound.
local meta = redis.call('HMGET', KEYS[1], 'schema', 'root')
if not meta[1] then return { 'absent' } end
if tonumber(meta[1]) > tonumber(ARGV[1]) then return { 'store_schema', meta[1] } end
if ARGV[2] ~= '' and meta[2] ~= ARGV[2] then return { 'store_lost_writes' } end

-- include: changed

local id, role, ttl, uses = ARGV[5], ARGV[6], tonumber(ARGV[7]), ARGV[8]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local standing = redis.call('HGET', KEYS[3], 'standing:' .. role)
if standing and ARGV[10] == '1' then
  redis.call('HDEL', KEYS[3], standing, 'standing:' .. role)
  standing = false
end
if ARGV[9] == '1' then
  if standing then return { 'ok', standing } end
  redis.call('HSET', KEYS[3], 'standing:' .. role, id)
end
redis.call('HSET', KEYS[3], id, role .. ' ' .. string.format('%.0f', ttl > 0 and now + ttl or 0) .. ' ' .. uses)
changed('token', id, '{"name":"' .. role .. '"}')
return { 'ok', id }
