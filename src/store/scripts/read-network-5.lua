#!lua flags=no-writes
-- What happened in a network since a revision: the changes, or the whole of one revision.
-- KEYS  meta changes endpoints services asserted (network)
-- ARGV  schema incarnation n mark ('' each: nothing known)
-- OUT   changes INCARNATION N MARK (kind id document|'')… | snapshot INCARNATION N MARK diverged(0|1) [endpoints] [services] [nodes that have re-asserted]
--       | absent (never opened, or purged) | store_schema SCHEMA
-- A revision is (incarnation, n, mark); the mark is the microsecond of the change that made it. The caller's entry n must
-- still be there with its mark, and everything after it: else the whole, diverged when its history is not ours.
local meta = redis.call('HMGET', KEYS[1], 'schema', 'incarnation', 'rev')
if meta[1] and tonumber(meta[1]) > tonumber(ARGV[1]) then return { 'store_schema', meta[1] } end
if not meta[3] then return { 'absent' } end
local rev = tonumber(meta[3])
local n = tonumber(ARGV[3])
local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
local mark = newest and newest[1]:match('-(%d+)') or ''
local diverged = '0'
if n and (ARGV[2] ~= meta[2] or n > rev) then
  diverged = '1'
elseif n then
  local entries = redis.call('XRANGE', KEYS[2], ARGV[3], '+')
  local at = 1
  if n > 0 and entries[1] then
    local first, its = entries[1][1]:match('(%d+)-(%d+)')
    if tonumber(first) == n then
      at = 2
      if ARGV[4] ~= '' and its ~= ARGV[4] then diverged = '1' end
    end
  end
  -- Trimmed entries leave a hole; entry n itself is missing only for n = 0 or when it was trimmed.
  if diverged == '0' and (at == 2 or n == 0) and #entries - at + 1 == rev - n then
    local out = { 'changes', meta[2], meta[3], mark }
    for i = at, #entries do
      local fields = entries[i][2]
      out[#out + 1] = fields[2]
      out[#out + 1] = fields[4]
      out[#out + 1] = fields[6] or ''
    end
    return out
  end
end
return { 'snapshot', meta[2], meta[3], mark, diverged, redis.call('HVALS', KEYS[3]),
  redis.call('HVALS', KEYS[4]), redis.call('HKEYS', KEYS[5]) }
