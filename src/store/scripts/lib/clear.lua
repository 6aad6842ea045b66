-- First clear bit of [from, to], or nil. Bits past the end of the string are clear.
local function clear(key, from, to)
  local bit = from
  while bit % 8 ~= 0 and bit <= to do
    if redis.call('GETBIT', key, bit) == 0 then return bit end
    bit = bit + 1
  end
  if bit > to then return nil end
  local found = redis.call('BITPOS', key, 0, bit / 8, math.floor(to / 8))
  if found == -1 then found = redis.call('STRLEN', key) * 8 end
  found = math.max(found, bit) -- BITPOS answers 0 for a missing key
  return found <= to and found or nil
end
