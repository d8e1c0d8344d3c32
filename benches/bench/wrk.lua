-- Sends the requests of a file in turn, and prints the figures as JSON.
--   wrk ... -s wrk.lua URL -- REQUESTS FIRST
-- Each request in the file is preceded by a line with its length. "NNNNNNNNNNNNN" in a request
-- becomes a number that counts up from FIRST.
local threads = 0
function setup(thread)
    thread:set("number", threads)
    threads = threads + 1
end

function init(arguments)
    requests, at = {}, 0
    local file = assert(io.open(arguments[1], "rb"))
    for length in file:lines() do
        requests[#requests + 1] = file:read(tonumber(length))
    end
    file:close()
    -- The threads start at different places.
    at = math.floor(#requests * number / 7)
    counter = tonumber(arguments[2]) + number * 10000000
    counts = requests[1]:find("NNNNNNNNNNNNN", 1, true) ~= nil
end

function request()
    at = at % #requests + 1
    if not counts then
        return requests[at]
    end
    counter = counter + 1
    return (requests[at]:gsub("NNNNNNNNNNNNN", string.format("%013d", counter)))
end

-- Runs in a state of its own, without what `init` has set.
function done(summary, latency)
    local errors = summary.errors
    local lost = errors.connect + errors.read + errors.write + errors.timeout
    io.write(string.format(
        '\nRESULT {"requests": %d, "seconds": %.4f, "errors": %d, "p50_us": %d, "p99_us": %d, "max_us": %d}\n',
        summary.requests, summary.duration / 1e6, errors.status + lost,
        latency:percentile(50), latency:percentile(99), latency.max))
end
