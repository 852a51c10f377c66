-- What wrk sends, and how it reports. Arguments: what to send, and what that needs:
--   get PATH [TOKEN]          one path, over and over
--   user USERS                one of the users 1 to USERS
--   register SEED             a new person each time
--   login PERSONS PASSWORD    one of person-1@example.com to person-PERSONS@example.com
--   refresh FILE              the tokens of FILE, a line each; one connection a thread
--   mixed USERS TOKEN PERSONS PASSWORD

local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end

local json = {["Content-Type"] = "application/json"}

local function post(path, body)
  return wrk.format("POST", path, json, body)
end

local function login_body(email, password)
  return string.format('{"email":"%s","password":"%s"}', email, password)
end

local kinds = {}

function kinds.get(path, token)
  local headers = {}
  if token then headers["Authorization"] = "Bearer " .. token end
  local fixed = wrk.format("GET", path, headers)
  return function() return fixed end
end

function kinds.user(users)
  local requests = {}
  for user = 1, tonumber(users) do requests[user] = wrk.format("GET", "/users/" .. user) end
  return function() return requests[math.random(#requests)] end
end

function kinds.register(seed)
  local count = 0
  return function()
    count = count + 1
    local name = string.format("%s-%d-%d", seed, number, count)
    return post("/auth/register", string.format(
      '{"username":"%s","email":"%s@example.com","password":"paper river candle"}', name, name))
  end
end

function kinds.login(persons, password)
  local logins = {}
  for person = 1, tonumber(persons) do
    local email = string.format("person-%d@example.com", person)
    logins[person] = post("/auth/login", login_body(email, password))
  end
  local last = 0
  return function()
    last = last % #logins + 1
    return logins[last]
  end
end

function kinds.refresh(file)
  local line = 0
  for token in io.lines(file) do
    line = line + 1
    if line == number then refresh_token = token end
  end
  function response(status, _, body)
    refresh_token = string.match(body, '"refresh_token":"([^"]+)"') or refresh_token
  end
  return function()
    return post("/auth/refresh", string.format('{"refresh_token":"%s"}', refresh_token))
  end
end

-- Of a thousand: 600 look at a user, 200 at a page, 150 ask who they are, 49 ping, 1 signs in.
function kinds.mixed(users, token, persons, password)
  local user = kinds.user(users)
  local page = kinds.get("/users")()
  local status = kinds.get("/auth/status", token)()
  local ping = kinds.get("/ping")()
  local login = kinds.login(persons, password)
  return function()
    local dice = math.random(1000)
    if dice <= 600 then return user() end
    if dice <= 800 then return page end
    if dice <= 950 then return status end
    if dice <= 999 then return ping end
    return login()
  end
end

function init(args)
  math.randomseed(number * 7919)
  request = kinds[args[1]](args[2], args[3], args[4], args[5])
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    'REPORT {"requests":%d,"seconds":%f,"p50_ms":%f,"p99_ms":%f,"failed":%d,"broken":%d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
