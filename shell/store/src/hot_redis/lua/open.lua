local id, user, registration, owner, created, expires, streams, state, ms = unpack(ARGV, 2, 10)
local key = session_key(id)
if redis.call('EXISTS', key) == 1 then
  return 'TAKEN'
end
redis.call('HSET', key, 'user', user, 'registration', registration, 'epoch', 1, 'owner', owner, 'created', created,
  'expires', expires, 'next', streams, 'skips', redis.call('HGET', META, 'skips'), 'state', state)
redis.call('PEXPIRE', key, ms)
local entry = entry(id, user, registration)
redis.call('ZADD', ROOT .. 'sessions', expires, entry)
keep(ROOT .. 'sessions', ms)
redis.call('SADD', ROOT .. 'user:' .. user, entry)
keep(ROOT .. 'user:' .. user, ms)
if registration ~= '' then
  redis.call('SADD', ROOT .. 'registration:' .. registration, entry)
  keep(ROOT .. 'registration:' .. registration, ms)
end
return 'OK'
