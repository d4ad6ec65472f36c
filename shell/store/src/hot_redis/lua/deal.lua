local id, epoch, count = unpack(ARGV, 2, 4)
local no = refusal(id, epoch)
if no then
  return no
end
redis.call('HINCRBY', session_key(id), 'next', count)
return tell(id, false)
