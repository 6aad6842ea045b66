#!lua flags=allow-oom
-- Sets of what there may be how many in the cluster.
-- KEYS  meta changes (registry)
-- ARGV  schema root channel origin limits
--       limits: JSON { networks, endpoints, services }, a number each or null: any number; what is not named stays
-- OUT   ok LIMITS | absent | store_schema SCHEMA | store_lost_writes
local meta = redis.call('HMGET', KEYS[1], 'schema', 'root', 'limits', 'clusterId')
if not meta[1] then return { 'absent' } end
if tonumber(meta[1]) > tonumber(ARGV[1]) then return { 'store_schema', meta[1] } end
if ARGV[2] ~= '' and meta[2] ~= ARGV[2] then return { 'store_lost_writes' } end

-- include: changed

local limits = cjson.decode(meta[3] or '{}')
for what, most in pairs(cjson.decode(ARGV[5])) do
  limits[what] = most ~= cjson.null and most or nil
end
local members = {}
for _, what in ipairs({ 'networks', 'endpoints', 'services' }) do
  if limits[what] then members[#members + 1] = string.format('"%s":%.0f', what, limits[what]) end
end
local text = '{' .. table.concat(members, ',') .. '}'
if text ~= (meta[3] or '{}') then
  redis.call('HSET', KEYS[1], 'limits', text)
  changed('limits', meta[4], text)
end
return { 'ok', text }
