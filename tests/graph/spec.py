"""A mesh with something of everything that a picture shows, and words that mean something to those who draw it."""

import json

HOSTILE = """</script><img src=x onerror="document.title='taken'"> "] end --> `${1}` \\\\N &amp; &lt; <b>"""

SPEC = f"""\
apiVersion: meshctl.dev/v1
mesh: {{name: bazaar, domain: bazaar.mesh, trustDomain: bazaar.example, authorization: {{mode: open}}}}
defaults: {{timeout: 2s}}
gateways:
  edge:
    port: 8080
    endpoints: [{{address: 10.0.0.9, zone: a}}]
    calls: {{web: {{}}}}
    routes: [{{name: site, backends: [{{service: web}}]}}]
services:
  web:
    owner: {json.dumps(HOSTILE)}
    labels: {{tier: edge, "it's <here>": 'a "b" -->'}}
    port: 80
    endpoints: [{{address: 10.0.0.1, zone: a}}, {{address: 10.0.0.11, zone: b}}]
    calls: {{shop: {{}}, books: {{localPort: 15432}}, stock: {{}}, audit: {{}}}}
    allow: [{{from: [edge]}}]
  shop:
    port: 80
    endpoints: [{{address: 10.0.0.2, subset: v1}}, {{address: 10.0.0.3, subset: v2}}]
    calls: {{pay: {{}}, shop: {{}}}}
    allow: [{{from: [web, shop]}}]
    routes:
      - name: old
        matches: [{{path: {{exact: /old}}}}]
        redirect: {{status: 301, path: {{full: /new}}}}
      - name: copied
        matches: [{{path: {{prefix: /orders}}, methods: [POST], headers: {{x-a: {{regex: "a+"}}}}}}]
        backends: [{{subset: v1}}]
        mirror: [{{service: audit, percent: 10%}}]
      - name: most
        backends: [{{subset: v1, weight: 75}}, {{subset: v2, weight: 20}}, {{service: stock, weight: 5}}]
  stock:
    port: 80
    mtls: {{mode: disabled}}
    endpoints: [{{address: 10.0.0.4}}]
  audit: {{port: 80, endpoints: [{{address: 10.0.0.5}}], allow: [{{from: [pay]}}]}}
  books: {{port: 5432, protocol: tcp, endpoints: [{{address: 10.0.0.6}}], allow: [{{from: [web]}}]}}
  pay:
    port: 80
    endpoints: [{{address: 10.0.0.7}}]
    calls: {{bank: {{}}, post: {{}}}}
    rateLimit: {{requests: 10, per: 1s, key: caller}}
    allow: [{{from: [shop], methods: [POST], paths: [{{prefix: /charges}}]}}]
    deny: [{{paths: [{{prefix: /charges/secret}}]}}]
externals:
  bank: {{hosts: [bank.example], port: 443, tls: {{}}, endpoints: [{{address: 10.9.9.9}}]}}
  post: {{hosts: [post.example], port: 80, endpoints: [{{address: 10.9.9.8}}]}}
"""
