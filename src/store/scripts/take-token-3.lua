#!lua
-- A host joins by a token: counts one use. The change is for the audit.
-- KEYS  meta changes tokens (registry)
-- ARGV  schema root channel origin id role
-- OUT   ok | token_unknown | token_expired | token_used | absent | store_schema SCHEMA | store_lost_writes
local meta = redis.call('HMGET', KEYS[1], 'schema', 'root')
if not meta[1] then return { 'absent' } end
if tonumber(meta[1]) > tonumber(ARGV[1]) then return { 'store_schema', meta[1] } end
if ARGV[2] ~= '' and meta[2] ~= ARGV[2] then return { 'store_lost_writes' } end

-- include: changed

local token = redis.call('HGET', KEYS[3], ARGV[5])
if not token then return { 'token_unknown' } end
local role, ends, uses = token:match('^(%l+) (%d+) (%-?%d+)$')
if role ~= ARGV[6] then return { 'token_unknown' } end
ends, uses = tonumber(ends), tonumber(uses)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- What is over stays, so that a late host hears why; a rotation or a new cluster ends it for good.
if ends > 0 and now >= ends then return { 'token_expired' } end
if uses < 0 then return { 'token_used' } end
-- 0 means any number, so a token that is used up has -1.
if uses > 0 then
  local left = uses > 1 and uses - 1 or -1
  redis.call('HSET', KEYS[3], ARGV[5], role .. ' ' .. string.format('%.0f', ends) .. ' ' .. left)
end
changed('token', ARGV[5], '{"name":"' .. role .. '"}')
return { 'ok' }
