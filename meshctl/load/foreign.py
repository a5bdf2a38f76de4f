"""How other tools call what this language has, so that their users are told the word that is meant.

Spelt in lower case without ``_``, ``-`` and ``.``. The words are those of the Gateway API, Istio, Envoy, Linkerd,
Consul, Kubernetes, HAProxy, NGINX and Traefik.
"""

from __future__ import annotations

from collections.abc import Mapping


def plain(word: str) -> str:
    """``word`` as the tables of this file spell it."""
    return word.lower().replace("_", "").replace("-", "").replace(".", "")


def _by_word(rows: Mapping[str, str]) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for ours, theirs in rows.items():
        for word in theirs.split():
            found[word] = (*found.get(word, ()), ours)
    return found


KEYS = _by_word(
    {
        # Conditions.
        "hostnames": "host hosts hostname domain domains servername servernames authority vhosts",
        "matches": "match rules condition conditions when",
        "path": "url location urlpath",
        "methods": "method verbs httpmethod",
        "headers": "header httpheaders",
        "query": "queryparams queryparameters queryparam params parameters",
        "prefix": "pathprefix replaceprefixmatch prefixrewrite",
        "exact": "equals string stringmatch",
        "regex": "regexp regularexpression saferegex pattern",
        "full": "replacefullpath uri",
        "present": "presentmatch exists",
        "from": "callers sources source clients principals sourceworkload sourcelabels services identities",
        # Where requests go.
        "backends": "route destination destinations backendrefs backendref backend upstream upstreams cluster "
        "clusters weightedclusters to targets forwardto service",
        "service": "name host cluster destination backend upstream external",
        "subset": "version labels subsetname",
        "mirror": "requestmirror shadow requestmirrorpolicies mirrorpercentage mirrors mirroring",
        "requestHeaders": "requestheadermodifier requestheaderstoadd requestheaderstoremove headers addheaders",
        "responseHeaders": "responseheadermodifier responseheaderstoadd responseheaderstoremove",
        "rewrite": "urlrewrite prefixrewrite replacepath stripprefix hostrewrite",
        "redirect": "requestredirect httpredirect return",
        "respond": "directresponse response return fixedresponse staticresponse",
        "fault": "faultinjection faults",
        "hostname": "host authority hostredirect hostrewrite",
        "status": "statuscode code httpstatus responsecode redirectcode httpcode",
        "body": "text content message inlinestring",
        "duration": "fixeddelay delay httpdelay time",
        "percent": "percentage value share weight probability",
        "set": "overwrite override replace",
        "add": "append insert",
        "remove": "delete unset",
        # Policy.
        "timeout": "requesttimeout timeouts responsetimeout backendrequest routetimeout maxduration timeoutseconds",
        "connectTimeout": "connectiontimeout dialtimeout tcpconnecttimeout",
        "idleTimeout": "keepalivetimeout idle tcpkeepalive",
        "retries": "retrypolicy retry",
        "attempts": "numretries retries maxretries count limit tries maxattempts retrylimit",
        "retryOn": "on conditions codes retryableconditions retriablestatuscodes statuscodes retryonstatuscodes",
        "perTryTimeout": "pertry trytimeout pertryidletimeout",
        "budget": "retrybudget",
        "base": "baseinterval initial initialinterval min",
        "max": "maxinterval",
        "loadBalancing": "loadbalancer lb lbpolicy balance balancer loadbalancingpolicy",
        "policy": "simple algorithm lbpolicy type method",
        "hashOn": "consistenthash hashpolicy hash hashkey hashby",
        "header": "httpheadername headername httpheader",
        "cookie": "httpcookie cookiename",
        "sourceAddress": "usesourceip sourceip clientip",
        "circuitBreaker": "circuitbreakers circuitbreaking connectionpool limits",
        "maxPendingRequests": "http1maxpendingrequests",
        "maxRequests": "http2maxrequests maxconcurrentrequests",
        "outlierDetection": "outlier passivehealthcheck ejection",
        "consecutiveErrors": "consecutive5xx consecutive5xxerrors consecutivegatewayerrors consecutivegatewayfailure maxfailures",
        "healthCheck": "healthchecks readinessprobe livenessprobe probe activehealthcheck",
        "healthPath": "healthcheckpath readinesspath healthendpoint",
        "rateLimit": "ratelimits localratelimit ratelimiting throttle",
        "requests": "average maxtokens limit rate",
        "per": "period fillinterval unit interval",
        "locality": "localitylbsetting topology zoneaware",
        "preferSameZone": "samezone prefersamezone zoneawarerouting",
        # Services, gateways and externals.
        "endpoints": "instances replicas addresses hosts targets servers nodes backends upstreams loadassignment",
        "address": "ip host ipaddress socketaddress",
        "zone": "locality region availabilityzone az",
        "calls": "dependencies dependson upstreams outbound egress uses callees",
        "port": "targetport containerport listen listenport portnumber number serviceport",
        "proxy": "sidecar dataplane proxytype engine",
        "labels": "annotations metadata tags",
        "allow": "authorizationpolicy authorizationpolicies intentions acl permissions whitelist allowlist",
        "deny": "denylist blacklist block",
        "hosts": "host hostnames hostname address addresses domains",
        "tls": "ssl https tlscontext",
        "certificate": "cert crt certfile certificatefile certificaterefs certpath servercertificate",
        "key": "keyfile privatekey certificatekey keypath",
        "ca": "cafile cacert cacertificate cacertificates cabundle trustbundle caroot",
        "sni": "servername",
        "bind": "listenaddress address listen",
        # The mesh.
        "trustDomain": "trust spiffe",
        "domain": "dnsdomain clusterdomain",
        "resolvers": "dnsservers nameservers resolver dns nameserver",
        "minVersion": "minprotocolversion minimumtlsversion tlsversion minimumversion mintlsversion minimumprotocolversion",
        "cipherSuites": "ciphers tlsciphers ciphersuite",
        "lifetime": "ttl validity days certttl workloadcertttl",
        "renewBefore": "rotation renewal rotatebefore",
        "accessLog": "accesslogging accesslogs accesslogfile logging",
        "otlp": "endpoint collector address zipkin jaeger",
        "sampling": "samplingrate sampler randomsamplingpercentage",
        "until": "expires expiry enddate",
        "finding": "rule code id",
        "reason": "comment description why",
    }
)
"""Our keys by theirs; the first that the place knows is meant."""

INSIDE = {
    "pathprefix": "path: {prefix: …}",
    "prefix": "path: {prefix: …}",
    "exact": "path: {exact: …}",
    "pathexact": "path: {exact: …}",
    "uri": "path: {exact: …}",
    "regex": "path: {regex: …}",
    "pathregex": "path: {regex: …}",
    "pathregexp": "path: {regex: …}",
    "saferegex": "path: {regex: …}",
    "queryparam": "query: {name: value}",
    "hostheader": "hostnames: […]",
}
"""What is one key of a match there, and here a mapping in it."""

WORDS = _by_word(
    {
        "least-request": "leastconn leastconnections leastconnection leastrequests",
        "round-robin": "rr roundrobinlb",
        "ring-hash": "consistenthash maglev iphash hash",
        "gateway-error": "badgateway gatewayerrors",
        "connect-failure": "connectionerror connecterror error",
        "reset": "connectionreset econnreset",
        "per-try-timeout": "timeout",
        "http2": "h2 h2c",
        "http": "https http1 http11",
        "tcp": "tls mysql postgres redis mongo",
        "strict": "mutual istiomutual enabled",
        "disabled": "disable off none",
        "allow": "allowany",
        "deny": "registryonly",
        "ecdsa-p256": "ecdsa p256 ec256 prime256v1",
        "1.2": "tlsv12 tls12 12 v12",
        "1.3": "tlsv13 tls13 13 v13",
        "refuse": "deny block false",
    }
)
"""Our values by theirs."""
