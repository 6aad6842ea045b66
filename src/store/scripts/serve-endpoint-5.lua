#!lua flags=allow-oom
-- An endpoint becomes a backend of a service, changes as one, or is none any more.
-- KEYS  meta changes endpoints services epochs (network)
-- ARGV  schema root channel origin id epoch expect backend state
--       epoch: of the endpoint's node where that says so itself, else ''
--       expect: the service it must be a backend of ('' = of none, or already of the one it becomes one of)
--       backend: JSON, 'null' = none; state: '' = leave
-- OUT   ok DOCUMENT INCARNATION AT BEFORE | ok DOCUMENT (it was so already) | endpoint_not_found | service_not_found
--       | backend_taken SERVICE NAME | unexpected (a backend of another service, or of none) | stale_epoch CURRENT
--       | gone | absent | store_schema SCHEMA | store_lost_writes
local meta = redis.call('HMGET', KEYS[1], 'schema', 'root', 'state', 'incarnation')
if not meta[1] then return { 'absent' } end
if tonumber(meta[1]) > tonumber(ARGV[1]) then return { 'store_schema', meta[1] } end
if ARGV[2] ~= '' and meta[2] ~= ARGV[2] then return { 'store_lost_writes' } end
if meta[3] == 'gone' then return { 'gone' } end

-- include: changed

local id, epoch, expect, backend, state = ARGV[5], tonumber(ARGV[6]), ARGV[7], ARGV[8], ARGV[9]
local document = redis.call('HGET', KEYS[3], id)
if not document then return { 'endpoint_not_found' } end
local endpoint = cjson.decode(document)
local newest = tonumber(redis.call('HGET', KEYS[5], endpoint.node) or 0)
if epoch and epoch < newest then return { 'stale_epoch', tostring(newest) } end

local current = type(endpoint.backend) == 'table' and endpoint.backend.service or ''
local wanted = backend ~= 'null' and cjson.decode(backend).service or ''
if expect ~= '' and current ~= expect then return { 'unexpected' } end
if wanted ~= '' and redis.call('HEXISTS', KEYS[4], wanted) == 0 then return { 'service_not_found' } end
if expect == '' and current ~= '' and current ~= wanted then
  -- Of a service that was removed it is none.
  local holder = redis.call('HGET', KEYS[4], current)
  if holder then return { 'backend_taken', current, cjson.decode(holder).name } end
end

local head, between = document:match('^(.*\n"backend":)[^\n]*(,\n.*"state":")%a+"}$')
local now = state ~= '' and endpoint.state ~= 'starting' and state or endpoint.state
local after = head .. backend .. between .. now .. '"}'
if after == document then return { 'ok', document } end
redis.call('HSET', KEYS[3], id, after)
return { 'ok', after, meta[4], changed('endpoint', id, after) }
