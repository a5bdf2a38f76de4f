"""Faults that an emitter could have, planted in its output, and the invariant that each of them breaks.

Each is (golden case, service, file, what stands there, what stands there instead, invariant). What stands there is
replaced wherever it does.
"""

from __future__ import annotations

from meshctl.audit import Invariant
from meshctl.ir import Proxy

_I = Invariant
REFERENCE, RULES, PERMISSIVE, LISTS, STREAMS = (
    "reference",
    "authorization_rules",
    "mtls_permissive",
    "certificate_revocation",
    "tcp",
)
PEM = "-----BEGIN EC PRIVATE KEY-----"

_CFG = "haproxy/haproxy.cfg"
_BIND = "crt ../tls/cert.pem ca-file ../tls/ca.pem verify required alpn"
_REFUSED = "    http-request return status 403 if !allowed\n"
_GATE = "    http-request return status 400 if uncanonical || !rooted || !one_host || empty_host\n"
_NO_IDENTITY = "    http-request del-header ^x[-_.]mesh[-_.]identity$ -m reg\n"
_SUBJECT = r"'^CN=[A-Za-z0-9._-]+,O=shop\.example$'"
_ALLOW_1 = "    http-request set-var(txn.verdict,ifnotset) str(allowed) if allow1.caller allow1.method\n"
_DENY_1 = "    http-request set-var(txn.verdict,ifnotset) str(denied) if deny1.path\n"

HAPROXY = [
    (REFERENCE, "payments", _CFG, _BIND, "crt ../tls/cert.pem ca-file ../tls/ca.pem alpn", _I.CLIENT_CERTIFICATE),
    (REFERENCE, "payments", _CFG, _BIND, _BIND.replace("required", "optional"), _I.CLIENT_CERTIFICATE),
    (REFERENCE, "payments", _CFG, _BIND, _BIND.replace("../tls/ca.pem", "/etc/ssl/certs/ca-certificates.crt"), _I.CLIENT_CERTIFICATE),
    (REFERENCE, "payments", _CFG, f"ssl {_BIND} h2,http/1.1", "", _I.CLIENT_CERTIFICATE),
    (REFERENCE, "payments", _CFG, " no-tls-tickets\n    maxconn", "\n    maxconn", _I.CLIENT_CERTIFICATE),
    (REFERENCE, "payments", _CFG, _SUBJECT, "'^CN=[A-Za-z0-9._-]+,O='", _I.CLIENT_CERTIFICATE),
    (REFERENCE, "payments", _CFG, _SUBJECT, r"'CN=[A-Za-z0-9._-]+,O=shop\.example$'", _I.CLIENT_CERTIFICATE),
    (REFERENCE, "payments", _CFG, _SUBJECT, "'^CN=[A-Za-z0-9._-]+,O=shop.example$'", _I.CLIENT_CERTIFICATE),
    (REFERENCE, "payments", _CFG, "tcp-request session reject unless", "tcp-request session accept if", _I.CLIENT_CERTIFICATE),
    (REFERENCE, "ledger", _CFG, "verify required ssl-min-ver TLSv1.3 ssl-max-ver TLSv1.3 no-tls-tickets", "verify none ssl-min-ver TLSv1.3 ssl-max-ver TLSv1.3 no-tls-tickets", _I.CLIENT_CERTIFICATE),
    (LISTS, "server", _CFG, "crl-file ../tls/crl.pem verify required alpn", "verify required alpn", _I.CLIENT_CERTIFICATE),
    (PERMISSIVE, "catalog", _CFG, "use_backend doorway:tls if { req.ssl_hello_type 1 }", "use_backend doorway:plain if { req.ssl_hello_type 1 }", _I.CLIENT_CERTIFICATE),
    (PERMISSIVE, "catalog", _CFG, f"ssl {_BIND}", "alpn", _I.CLIENT_CERTIFICATE),
    (REFERENCE, "payments", _CFG, "ssl verify required ca-file /etc", "ssl verify none ca-file /etc", _I.UPSTREAM),
    (REFERENCE, "payments", _CFG, "ssl verify required ca-file /etc/ssl/certs/ca-certificates.crt", "ssl verify required", _I.UPSTREAM),
    (REFERENCE, "payments", _CFG, "verifyhost api.stripe.com ", "", _I.UPSTREAM),
    (REFERENCE, "payments", _CFG, "verifyhost api.stripe.com", "verifyhost stripe.com", _I.UPSTREAM),
    (REFERENCE, "payments", _CFG, "default-server ssl verify", "default-server verify", _I.UPSTREAM),
    (REFERENCE, "payments", _CFG, "ssl-server-verify required", "ssl-server-verify none", _I.UPSTREAM),
    (REFERENCE, "payments", _CFG, "default-server ssl verify required", "default-server ssl crt ../tls/cert.pem verify required", _I.UPSTREAM),
    (REFERENCE, "web", _CFG, "verifyhost orders.spiffe.shop.example", "verifyhost payments.spiffe.shop.example", _I.UPSTREAM),
    (REFERENCE, "web", _CFG, " verify required verifyhost orders.spiffe.shop.example", " verifyhost orders.spiffe.shop.example", _I.UPSTREAM),
    (LISTS, "client", _CFG, "crl-file ../tls/crl.pem verify required verifyhost", "verify required verifyhost", _I.UPSTREAM),
    (REFERENCE, "payments", _CFG, "bind 127.0.0.1:15000", "bind 0.0.0.0:15000", _I.LISTENERS),
    (REFERENCE, "payments", _CFG, "frontend health", "frontend more\n    bind :8404\n    stats enable\n\nfrontend health", _I.LISTENERS),
    (REFERENCE, "payments", _CFG, "haproxy.sock mode 600", "haproxy.sock mode 666", _I.LISTENERS),
    (REFERENCE, "payments", _CFG, "unix@../run/haproxy.sock", "ipv4@127.0.0.1:9999", _I.LISTENERS),
    (REFERENCE, "payments", _CFG, _NO_IDENTITY, "", _I.IDENTITY_HEADERS),
    (REFERENCE, "payments", _CFG, _NO_IDENTITY, _NO_IDENTITY.replace("[-_.]", "-"), _I.IDENTITY_HEADERS),
    (REFERENCE, "payments", _CFG, _NO_IDENTITY, _NO_IDENTITY.replace("\n", " if { ssl_fc }\n"), _I.IDENTITY_HEADERS),
    (REFERENCE, "payments", _CFG, "^x[-_.]forwarded[-_.]client[-_.]cert$", "^x-forwarded-client$", _I.IDENTITY_HEADERS),
    (REFERENCE, "payments", _CFG, "set-header x-mesh-identity", "add-header x-mesh-identity", _I.IDENTITY_HEADERS),
    (REFERENCE, "payments", _CFG, "spiffe://shop.example/%[var(sess.caller)]", "%[req.fhdr(x-user)]", _I.IDENTITY_HEADERS),
    (REFERENCE, "payments", _CFG, _GATE, "", _I.GATE),
    (REFERENCE, "payments", _CFG, r"'/\.\.?(;|/|$)'", r"'/\.\.?(/|$)'", _I.GATE),
    (REFERENCE, "payments", _CFG, "acl uncanonical path -m sub -- // '\\'", "acl uncanonical path -m sub -- //", _I.GATE),
    (REFERENCE, "payments", _CFG, "acl uncanonical path -m reg -i -- '%(00|2f|5c)'", "acl uncanonical path -m reg -- '%(00|2f|5c)'", _I.GATE),
    (REFERENCE, "payments", _CFG, f"{_GATE}    # What", "    # What", _I.GATE),
    (REFERENCE, "payments", _CFG, _REFUSED, "", _I.DEFAULT_DENY),
    (REFERENCE, "payments", _CFG, "acl allowed always_false", "acl allowed always_true", _I.DEFAULT_DENY),
    (REFERENCE, "payments", _CFG, "-m str -- CN=orders,O=shop.example", "-m str -- CN=orders,O=shop.example CN=web,O=shop.example", _I.DEFAULT_DENY),
    (REFERENCE, "payments", _CFG, "acl allowed var(sess.subject) -m str -- CN=orders", "acl allowed var(sess.caller) -m str -- orders CN=orders", _I.DEFAULT_DENY),
    (REFERENCE, "ledger", _CFG, "tcp-request content reject if !allowed", "tcp-request content accept", _I.DEFAULT_DENY),
    (RULES, "server", _CFG, _DENY_1, "", _I.DEFAULT_DENY),
    (RULES, "server", _CFG, _ALLOW_1, _ALLOW_1.replace(" if allow1.caller allow1.method", ""), _I.DEFAULT_DENY),
    (RULES, "server", _CFG, _DENY_1, _ALLOW_1 + _DENY_1, _I.DEFAULT_DENY),
    (RULES, "server", _CFG, "set-var(txn.verdict,ifnotset) str(allowed) if allow2", "set-var(txn.verdict) str(allowed) if allow2", _I.DEFAULT_DENY),
    (RULES, "server", _CFG, "acl allow1.caller var(sess.subject) -m str -- ", "acl allow1.caller var(sess.subject) -m str -- CN=evil,O=golden.example ", _I.DEFAULT_DENY),
    (RULES, "server", _CFG, "-m str -- allowed\n", "-m str -- allowed denied\n", _I.DEFAULT_DENY),
    (RULES, "server", _CFG, "^(?:/items/[0-9]+)$", "^(?:(/[a-z]+)+/items)$", _I.REPEATED_GROUP),
    (RULES, "server", _CFG, "^(?:/items/[0-9]+)$", "^(?:/(x|y)*items)$", _I.REPEATED_GROUP),
    (RULES, "server", _CFG, "^(?:/items/[0-9]+)$", "^(?:/(x|y){2,}items)$", _I.REPEATED_GROUP),
    (REFERENCE, "payments", _CFG, _REFUSED, f"    http-request allow if {{ method GET }}\n{_REFUSED}", _I.DEFAULT_DENY),
    (REFERENCE, "payments", _CFG, "    tcp-request session reject unless", "    tcp-request session accept\n    tcp-request session reject unless", _I.DEFAULT_DENY),
    (REFERENCE, "payments", _CFG, "    tcp-request session reject unless", "    tcp-request session set-var(sess.subject) str(CN=orders,O=shop.example)\n    tcp-request session reject unless", _I.CLIENT_CERTIFICATE),
    (REFERENCE, "ledger", _CFG, "    tcp-request content reject", "    tcp-request content accept\n    tcp-request content reject", _I.DEFAULT_DENY),
    (REFERENCE, "web", _CFG, " verify required verifyhost orders", " no-ssl verify required verifyhost orders", _I.UPSTREAM),
    (RULES, "server", _CFG, _DENY_1, f"    http-request set-var-fmt(txn.verdict) allowed\n{_DENY_1}", _I.DEFAULT_DENY),
    (RULES, "server", _CFG, "    acl allow1.caller ", "    acl allow1.caller always_true\n    acl allow1.caller ", _I.DEFAULT_DENY),
    (REFERENCE, "payments", _CFG, "# Made by", f"# {PEM}\n# Made by", _I.KEY_MATERIAL),
    (REFERENCE, "payments", "haproxy/run", "#!/bin/sh", "#!/bin/sh\n# LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCg==", _I.KEY_MATERIAL),
    (REFERENCE, "payments", _CFG, "node payments", "node 'payments", _I.READABLE),
]  # fmt: skip

_CONF = "nginx/nginx.conf"
_UNKNOWN = '        if ($peer = "") {\n            return 444;\n        }\n'
_NOBODY = '        if ($caller_identity = "") {\n            return 403;\n        }\n'
_NOT_CANONICAL = "        if ($canonical = 0) {\n            return 400;\n        }\n"
_DROP = "            set_by_lua_block $dropped { return mesh.drop_untrusted_headers() }\n"

NGINX = [
    (REFERENCE, "payments", _CONF, "ssl_verify_client on", "ssl_verify_client optional", _I.CLIENT_CERTIFICATE),
    (REFERENCE, "payments", _CONF, "ssl_verify_client on;", "", _I.CLIENT_CERTIFICATE),
    (REFERENCE, "payments", _CONF, "ssl_verify_client on;", "ssl_verify_client on; ssl_verify_client off;", _I.CLIENT_CERTIFICATE),
    (REFERENCE, "payments", _CONF, "ssl_client_certificate ../tls/ca.pem", "ssl_client_certificate /etc/ssl/ca.pem", _I.CLIENT_CERTIFICATE),
    (REFERENCE, "payments", _CONF, "listen 0.0.0.0:15006 ssl http2", "listen 0.0.0.0:15006 http2", _I.CLIENT_CERTIFICATE),
    (REFERENCE, "payments", _CONF, _UNKNOWN, "", _I.CLIENT_CERTIFICATE),
    (REFERENCE, "payments", _CONF, r'O=shop\.example\z"', r'O=shop\.example"', _I.CLIENT_CERTIFICATE),
    (REFERENCE, "payments", _CONF, '"~^CN=(?<subject_cn>[a-z0-9-]+)', '"~CN=(?<subject_cn>[a-z0-9-]+)', _I.CLIENT_CERTIFICATE),
    (REFERENCE, "ledger", _CONF, "ssl_verify_client on", "ssl_verify_client off", _I.CLIENT_CERTIFICATE),
    (REFERENCE, "ledger", _CONF, "listen 0.0.0.0:15006 ssl", "listen 0.0.0.0:15006", _I.CLIENT_CERTIFICATE),
    (LISTS, "server", _CONF, " ssl_crl ../tls/crl.pem;", "", _I.CLIENT_CERTIFICATE),
    (PERMISSIVE, "catalog", _CONF, "ssl_verify_client on", "ssl_verify_client optional_no_ca", _I.CLIENT_CERTIFICATE),
    (REFERENCE, "payments", _CONF, "    proxy_ssl_verify on", "    proxy_ssl_verify off", _I.UPSTREAM),
    (REFERENCE, "payments", _CONF, "    proxy_ssl_verify on;", "", _I.UPSTREAM),
    (REFERENCE, "payments", _CONF, 'proxy_ssl_trusted_certificate "/etc/ssl/certs/ca-certificates.crt";', "", _I.UPSTREAM),
    (REFERENCE, "payments", _CONF, "proxy_ssl_name api.stripe.com;", "", _I.UPSTREAM),
    (REFERENCE, "payments", _CONF, "proxy_ssl_name api.stripe.com;", "proxy_ssl_name stripe.com;", _I.UPSTREAM),
    (REFERENCE, "payments", _CONF, "proxy_pass https://stripe", "proxy_pass http://stripe", _I.UPSTREAM),
    (REFERENCE, "payments", _CONF, "            proxy_ssl_certificate $no_certificate;\n", "", _I.UPSTREAM),
    (REFERENCE, "payments", _CONF, "proxy_ssl_server_name on", "proxy_ssl_server_name off", _I.UPSTREAM),
    (REFERENCE, "orders", _CONF, "grpc_ssl_verify on", "grpc_ssl_verify off", _I.UPSTREAM),
    (REFERENCE, "orders", _CONF, "grpc_ssl_name payments.spiffe.shop.example", "grpc_ssl_name web.spiffe.shop.example", _I.UPSTREAM),
    (REFERENCE, "orders", _CONF, "grpc_pass grpcs://payments", "grpc_pass grpc://payments", _I.UPSTREAM),
    (LISTS, "client", _CONF, "proxy_ssl_crl ../tls/crl.pem;", "", _I.UPSTREAM),
    (STREAMS, "client", _CONF, "        proxy_ssl on;", "", _I.UPSTREAM),
    (REFERENCE, "payments", _CONF, "listen 127.0.0.1:15000", "listen 0.0.0.0:15000", _I.LISTENERS),
    (REFERENCE, "payments", _CONF, "listen 127.0.0.1:15000;", "", _I.LISTENERS),
    (REFERENCE, "payments", _CONF, "listen 127.0.0.1:15000", "listen 15000", _I.LISTENERS),
    (REFERENCE, "payments", _CONF, "        listen 0.0.0.0:15021", "        listen 0.0.0.0:9; listen 0.0.0.0:15021", _I.LISTENERS),
    (REFERENCE, "payments", _CONF, _DROP, "", _I.IDENTITY_HEADERS),
    (REFERENCE, "payments", _CONF, '        mesh.untrusted_headers["x-mesh-identity"] = true\n', "", _I.IDENTITY_HEADERS),
    (REFERENCE, "payments", _CONF, 'grpc_set_header "x-mesh-identity" $caller_identity', 'grpc_set_header "x-mesh-identity" $http_x_user', _I.IDENTITY_HEADERS),
    (REFERENCE, "payments", _CONF, 'grpc_set_header "x-mesh-identity" $caller_identity;', "", _I.IDENTITY_HEADERS),
    (REFERENCE, "payments", _CONF, _NOT_CANONICAL, "", _I.GATE),
    (REFERENCE, "payments", _CONF, "map $request $canonical {\n        default 0;", "map $request $canonical {\n        default 1;", _I.GATE),
    (REFERENCE, "payments", _CONF, r"(?!\.{1,2}[/;? ])", r"(?!\.{1,2}[/? ])", _I.GATE),
    (REFERENCE, "payments", _CONF, "(?!00|2[dDeEfF]", "(?!00|2[dDeE]", _I.GATE),
    (REFERENCE, "payments", _CONF, "map $request $canonical", "map $uri $canonical", _I.GATE),
    (REFERENCE, "payments", _CONF, _NOBODY, "", _I.DEFAULT_DENY),
    (REFERENCE, "payments", _CONF, 'map $peer $caller_identity {\n        default "";', "map $peer $caller_identity {\n        default $peer;", _I.DEFAULT_DENY),
    (REFERENCE, "payments", _CONF, r'"\\orders" "spiffe://shop.example/orders";', r'"\\orders" "spiffe://shop.example/orders"; "\\web" "spiffe://shop.example/web";', _I.DEFAULT_DENY),
    (REFERENCE, "payments", _CONF, r'"\\orders" "spiffe', r'"~orders" "spiffe', _I.DEFAULT_DENY),
    (STREAMS, "ledger", _CONF, 'map $caller_subject $application {\n        default "";', "map $caller_subject $application {\n        default 127.0.0.1:9000;", _I.DEFAULT_DENY),
    (STREAMS, "ledger", _CONF, r'"~^CN\=client\,O', '"~,O', _I.DEFAULT_DENY),
    (RULES, "server", _CONF, "$allowed {\n        default 0;", "$allowed {\n        default 1;", _I.DEFAULT_DENY),
    (RULES, "server", _CONF, "if ($allowed = 0) {\n            return 403;", "if ($allowed = 0) {\n            return 200;", _I.DEFAULT_DENY),
    (RULES, "server", _CONF, r'/admin(?:/|\\z)" 0', r'/admin(?:/|\\z)" 1', _I.DEFAULT_DENY),
    (RULES, "server", _CONF, r'"~^(?:one) (?:GET', r'"~^[^ ]+ (?:GET', _I.DEFAULT_DENY),
    (REFERENCE, "payments", _CONF, _UNKNOWN, f"        if ($http_x_debug) {{\n            break;\n        }}\n{_UNKNOWN}", _I.DEFAULT_DENY),
    (REFERENCE, "payments", _CONF, _NOT_CANONICAL, f"        rewrite ^/x / break;\n{_NOT_CANONICAL}", _I.DEFAULT_DENY),
    (REFERENCE, "payments", _CONF, _NOBODY, f"        set $caller_identity spiffe://shop.example/orders;\n{_NOBODY}", _I.DEFAULT_DENY),
    (REFERENCE, "payments", _CONF, "map $peer $caller_identity", "map $http_x_user $caller_identity", _I.DEFAULT_DENY),
    (RULES, "server", _CONF, "        if ($allowed = 0) {", "        set $allowed 1;\n        if ($allowed = 0) {", _I.DEFAULT_DENY),
    (REFERENCE, "payments", _CONF, "location = /ready {", f"location = /{'r' * 255} {{", _I.LONG_LOCATION),
    (RULES, "server", _CONF, r"/items/[0-9]+)\\z", r"(/[a-z]+)+/items)\\z", _I.REPEATED_GROUP),
    (RULES, "server", _CONF, r"/items/[0-9]+)\\z", r"/(x|y)*items)\\z", _I.REPEATED_GROUP),
    (RULES, "server", _CONF, r"\094\040\063:", r"\094\040\063:\040ab\041\043", _I.REPEATED_GROUP),
    (REFERENCE, "payments", _CONF, "# Sidecar of", f"# {PEM}\n# Sidecar of", _I.KEY_MATERIAL),
    (REFERENCE, "payments", "nginx/mesh.lua", "local ", f"-- {PEM}\nlocal ", _I.KEY_MATERIAL),
    (REFERENCE, "payments", _CONF, "events {", "events {{", _I.READABLE),
    (REFERENCE, "payments", _CONF, "daemon off;", "daemon off; }", _I.READABLE),
    (REFERENCE, "payments", _CONF, "daemon off;", 'daemon "off;', _I.READABLE),
]  # fmt: skip

_LDS, _CDS, _START = "envoy/lds.json", "envoy/cds.json", "envoy/bootstrap.json"
_TRUST, _SHOWN = "envoy/sds/trust.json", "envoy/sds/identity.json"
_ANYBODY = '{"san_type":"URI","matcher":{"prefix":"spiffe://shop.example/"}}'

ENVOY = [
    (REFERENCE, "payments", _LDS, '"require_client_certificate":true', '"require_client_certificate":false', _I.CLIENT_CERTIFICATE),
    (REFERENCE, "payments", _LDS, '"require_client_certificate":true,', "", _I.CLIENT_CERTIFICATE),
    (REFERENCE, "payments", _LDS, _ANYBODY, '{"san_type":"URI","matcher":{"prefix":"spiffe://"}}', _I.CLIENT_CERTIFICATE),
    (REFERENCE, "payments", _LDS, _ANYBODY, "", _I.CLIENT_CERTIFICATE),
    (REFERENCE, "payments", _LDS, _ANYBODY, _ANYBODY.replace("URI", "DNS"), _I.CLIENT_CERTIFICATE),
    (RULES, "server", _LDS, '"default_validation_context":{', '"default_validation_context":{"trust_chain_verification":"ACCEPT_UNTRUSTED",', _I.CLIENT_CERTIFICATE),
    (RULES, "server", _LDS, '"filter_chains":[{"transport_socket"', '"default_filter_chain":{},"filter_chains":[{"transport_socket"', _I.CLIENT_CERTIFICATE),
    (RULES, "server", _LDS, '{"name":"authorization",', '{"name":"authorization","disabled":true,', _I.DEFAULT_DENY),
    (RULES, "server", _LDS, '"virtual_hosts":[{', '"virtual_hosts":[{"typed_per_filter_config":{"authorization":{"@type":"type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute"}},', _I.DEFAULT_DENY),
    (REFERENCE, "payments", _LDS, '"path":"sds/trust.json"', '"path":"sds/other.json"', _I.CLIENT_CERTIFICATE),
    (REFERENCE, "payments", _LDS, '"disable_stateless_session_resumption":true,', "", _I.CLIENT_CERTIFICATE),
    (REFERENCE, "payments", _LDS, '"filter_chains":[{"transport_socket"', '"filter_chains":[{"unused"', _I.CLIENT_CERTIFICATE),
    (REFERENCE, "payments", _TRUST, "../tls/ca.pem", "/etc/ssl/certs/ca-certificates.crt", _I.CLIENT_CERTIFICATE),
    (REFERENCE, "payments", _TRUST, '"watched_directory"', '"trust_chain_verification":"ACCEPT_UNTRUSTED","watched_directory"', _I.CLIENT_CERTIFICATE),
    (LISTS, "server", "envoy/sds/trust-crl.json", '"crl":{"filename":"../tls/crl.pem"},', "", _I.CLIENT_CERTIFICATE),
    (PERMISSIVE, "catalog", _LDS, '"transport_protocol":"raw_buffer"', '"transport_protocol":"tls"', _I.CLIENT_CERTIFICATE),
    (REFERENCE, "payments", _CDS, '"matcher":{"exact":"api.stripe.com"}', '"matcher":{"suffix":".com"}', _I.UPSTREAM),
    (REFERENCE, "payments", _CDS, '"match_typed_subject_alt_names":[{"san_type":"DNS","matcher":{"exact":"api.stripe.com"}}]', '"match_typed_subject_alt_names":[]', _I.UPSTREAM),
    (REFERENCE, "payments", _CDS, '"trusted_ca":{"filename":"/etc/ssl/certs/ca-certificates.crt"},', "", _I.UPSTREAM),
    (REFERENCE, "payments", _CDS, '"transport_socket":', '"unused":', _I.UPSTREAM),
    (REFERENCE, "orders", _CDS, '"exact":"spiffe://shop.example/payments"', '"exact":"spiffe://shop.example/web"', _I.UPSTREAM),
    (REFERENCE, "orders", _CDS, '"exact":"spiffe://shop.example/payments"', '"prefix":"spiffe://shop.example/"', _I.UPSTREAM),
    (REFERENCE, "orders", _CDS, '"sni":"payments.spiffe.shop.example"', '"sni":""', _I.UPSTREAM),
    (REFERENCE, "orders", _CDS, '"max_session_keys":0', '"max_session_keys":1', _I.UPSTREAM),
    (REFERENCE, "orders", _CDS, '"path":"sds/trust.json"', '"path":"sds/world.json"', _I.UPSTREAM),
    (REFERENCE, "orders", _CDS, '"name":"payments","type"', '"name":"strangers","type"', _I.UPSTREAM),
    (REFERENCE, "payments", _SHOWN, "../tls/cert.pem.key", "/etc/other.key", _I.UPSTREAM),
    (REFERENCE, "payments", _START, '"address":"127.0.0.1","port_value":15000', '"address":"0.0.0.0","port_value":15000', _I.LISTENERS),
    (REFERENCE, "payments", _START, '"path":"../run/admin.sock","mode":384', '"path":"../run/admin.sock","mode":438', _I.LISTENERS),
    (REFERENCE, "payments", _START, '"admin": {"address":{"pipe":{"path":"../run/admin.sock","mode":384}}}', '"admin": {"address":{"socket_address":{"address":"127.0.0.1","port_value":9901}}}', _I.LISTENERS),
    (REFERENCE, "payments", _LDS, '"port_value":15021', '"port_value":15022', _I.LISTENERS),
    (REFERENCE, "payments", _LDS, "x[-_.]mesh[-_.]identity|", "", _I.IDENTITY_HEADERS),
    (REFERENCE, "payments", _LDS, "x[-_.]forwarded[-_.]client[-_.]cert", "x-forwarded-client-cert", _I.IDENTITY_HEADERS),
    (REFERENCE, "payments", _LDS, '"value":"%DOWNSTREAM_PEER_URI_SAN%"', '"value":"%REQ(x-user)%"', _I.IDENTITY_HEADERS),
    (REFERENCE, "payments", _LDS, '"forward_client_cert_details":"SANITIZE"', '"forward_client_cert_details":"ALWAYS_FORWARD_ONLY"', _I.IDENTITY_HEADERS),
    (REFERENCE, "payments", _LDS, '"name":"path-gate","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC","rules":{"action":"ALLOW"', '"name":"path-gate","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC","rules":{"action":"LOG"', _I.GATE),
    (REFERENCE, "payments", _LDS, r"[!\\x22$&-\\-0-:<->@-\\[\\]-~]", r"[!\\x22$&-\\-/-:<->@-\\[\\]-~]", _I.GATE),
    (REFERENCE, "payments", _LDS, '"name":":method","string_match"', '"name":":scheme","string_match"', _I.GATE),
    (REFERENCE, "payments", _LDS, "2[0-9A-Ca-c]", "2[0-9A-Fa-f]", _I.GATE),
    (REFERENCE, "payments", _LDS, '{"name":"authorization",', '{"name":"unused",', _I.DEFAULT_DENY),
    (REFERENCE, "payments", _LDS, '"principal_name":{"exact":"spiffe://shop.example/orders"}', '"principal_name":{"prefix":"spiffe://shop.example/"}', _I.DEFAULT_DENY),
    (REFERENCE, "payments", _LDS, '"principals":[{"authenticated":', '"principals":[{"any":true},{"authenticated":', _I.DEFAULT_DENY),
    (REFERENCE, "payments", _LDS, "spiffe://shop.example/orders", "spiffe://shop.example/web", _I.DEFAULT_DENY),
    (REFERENCE, "payments", _LDS, '"rules":{"action":"ALLOW","policies":{"orders"', '"rules":{"action":"DENY","policies":{"orders"', _I.DEFAULT_DENY),
    (REFERENCE, "ledger", _LDS, '"exact":"spiffe://shop.example/', '"exact":"spiffe://shop.example/evil-', _I.DEFAULT_DENY),
    (RULES, "server", _LDS, '"rules":{"action":"DENY"', '"rules":{"action":"LOG"', _I.DEFAULT_DENY),
    (REFERENCE, "payments", _LDS, '"name":"inbound","address"', f'"name":"{PEM}","address"', _I.KEY_MATERIAL),
    (REFERENCE, "payments", _SHOWN, '{"filename":"../tls/cert.pem.key"}', '{"inline_string":"LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0t"}', _I.KEY_MATERIAL),
    (REFERENCE, "payments", _LDS, '{"version_info"', '{"version_info', _I.READABLE),
    (REFERENCE, "payments", _START, '"admin"', '"administration"', _I.READABLE),
]  # fmt: skip

FAULTS = [
    (proxy, *fault)
    for proxy, faults in ((Proxy.ENVOY, ENVOY), (Proxy.HAPROXY, HAPROXY), (Proxy.NGINX, NGINX))
    for fault in faults
]
