local whose, by, why = unpack(ARGV, 2, 4)
local ended = {}
for _, entry in ipairs(redis.call('SMEMBERS', ROOT .. whose)) do
  local id = finish(entry, by, why)
  if id then
    ended[#ended + 1] = id
  end
end
return ended
