local now = tonumber(ARGV[2])
local found = {}
for i = 3, #ARGV do
  local s = tell(session_of(ARGV[i]), false)
  if s and tonumber(s[6]) > now then
    found[#found + 1] = s
  end
end
return found
