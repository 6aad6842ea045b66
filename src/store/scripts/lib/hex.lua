-- Fixed-width hex of an address in canonical text, the inverse of text(); nil where it is none.
local function hex(address)
  local bytes = { address:match('^(%d+)%.(%d+)%.(%d+)%.(%d+)$') }
  if #bytes == 4 then return string.format('%02x%02x%02x%02x', unpack(bytes)) end
  local head, tail = address:match('^(.-)::(.*)$')
  local function groups(list)
    local out, count = '', 0
    for group in list:gmatch('%x+') do
      out, count = out .. string.rep('0', 4 - #group) .. group, count + 1
    end
    return out, count
  end
  local front, left = groups(head or address)
  local back, right = groups(tail or '')
  if head and left + right < 8 then front = front .. string.rep('0000', 8 - left - right) end
  local all = front .. back
  return #all == 32 and all or nil
end
