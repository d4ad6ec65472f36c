local s = tell(ARGV[2], true)
if not s or tonumber(s[6]) <= tonumber(ARGV[3]) then
  return 'GONE'
end
return s
