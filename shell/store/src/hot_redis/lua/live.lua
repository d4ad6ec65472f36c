return redis.call('ZRANGEBYSCORE', ROOT .. 'sessions', '(' .. ARGV[2], '+inf')
