local now = tonumber(ARGV[3])
local found = {}
for _, entry in ipairs(redis.call('SMEMBERS', ROOT .. 'user:' .. ARGV[2])) do
  local s = tell(session_of(entry), false)
  if s and tonumber(s[6]) > now then
    found[#found + 1] = s
  end
end
return found
