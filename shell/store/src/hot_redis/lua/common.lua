-- Stands before each script. KEYS[1] is the key of what is known about the whole store, ARGV[1] the life of the
-- server that the connection was made to. Ids are hexadecimal digits, times microseconds as decimal digits.
local META = KEYS[1]
local ROOT = string.sub(META, 1, -5)
local FIELDS = { 'user', 'registration', 'epoch', 'owner', 'created', 'expires', 'next', 'skips', 'state' }

if redis.call('HGET', META, 'life') ~= ARGV[1] then
  return redis.error_reply('STRANGER another server, or another life of it, than this connection knows')
end

local function session_key(id)
  return ROOT .. 'session:' .. id
end

-- What the indexes hold of a session: from it they are found even when the session has gone by itself.
local function entry(id, user, registration)
  return id .. ':' .. user .. ':' .. registration
end

local function session_of(entry)
  return string.match(entry, '^(%x+):(%x+):(%x*)$')
end

-- A key that other keys need lasts as long as the longest of them.
local function keep(key, ms)
  redis.call('PEXPIRE', key, ms, 'NX')
  redis.call('PEXPIRE', key, ms, 'GT')
end

-- What stands in a session, as one answer; nil when there is none.
local function tell(id, with_state)
  local s = redis.call('HMGET', session_key(id), unpack(FIELDS))
  if not s[1] then
    return nil
  end
  if not with_state then
    s[9] = ''
  end
  s[10] = redis.call('HGET', META, 'skips')
  s[11] = id
  return s
end

-- Why a session in that epoch is not to be had; nil when it is. Any epoch is right when it is ''.
local function refusal(id, epoch)
  local found = redis.call('HGET', session_key(id), 'epoch')
  if not found then
    return 'GONE'
  end
  if epoch ~= '' and found ~= epoch then
    return 'FENCED'
  end
  return nil
end

local function leave_notice(node, id, epoch, why, expires, ms)
  local key = ROOT .. 'notices:' .. node
  redis.call('HSET', key, id, why .. ':' .. epoch .. ':' .. expires)
  redis.call('SADD', ROOT .. 'noticed', node)
  if ms > 0 then
    keep(key, ms)
    keep(ROOT .. 'noticed', ms)
  end
end

local function forget(entry)
  local id, user, registration = session_of(entry)
  redis.call('DEL', session_key(id))
  redis.call('ZREM', ROOT .. 'sessions', entry)
  redis.call('SREM', ROOT .. 'user:' .. user, entry)
  if registration ~= '' then
    redis.call('SREM', ROOT .. 'registration:' .. registration, entry)
  end
end

-- Removes a session, and tells the node that carries it. False when it had gone by itself.
local function finish(entry, by, why)
  local id = session_of(entry)
  local key = session_key(id)
  local s = redis.call('HMGET', key, 'owner', 'epoch', 'expires')
  local ms = redis.call('PTTL', key)
  forget(entry)
  if s[1] and s[1] ~= by then
    leave_notice(s[1], id, s[2], why, s[3], ms)
  end
  return s[1] and id
end
