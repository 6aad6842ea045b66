-- Canonical text of a hex address (RFC 5952: the longest run of two or more zero groups becomes ::).
local function text(hex)
  local groups = {}
  if #hex == 8 then
    for i = 1, 8, 2 do groups[#groups + 1] = tonumber(hex:sub(i, i + 1), 16) end
    return table.concat(groups, '.')
  end
  for i = 1, 32, 4 do groups[#groups + 1] = string.format('%x', tonumber(hex:sub(i, i + 3), 16)) end
  local best, length, i = 0, 1, 1
  while i <= 8 do
    local j = i
    while groups[j] == '0' do j = j + 1 end
    if j - i > length then best, length = i, j - i end
    i = math.max(j, i + 1)
  end
  if best == 0 then return table.concat(groups, ':') end
  return table.concat(groups, ':', 1, best - 1) .. '::' .. table.concat(groups, ':', best + length, 8)
end
