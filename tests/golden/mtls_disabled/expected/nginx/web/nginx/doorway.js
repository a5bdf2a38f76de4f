// What a caller speaks, by the first bytes that it sends: TLS, or which HTTP. One connection, one run of this file.

var PREFACE = 'PRI * HTTP/2.0';
var HANDSHAKE = '\x16\x03'; // the type of the first record of TLS, and its major version

var found = 'http1';

function begins(head, word) {
    return head.slice(0, word.length) === word;
}

function may(head, word, last) {
    return head.length < word.length && word.startsWith(head) && !last;
}

function requests(s) {
    s.on('upload', function (data, flags) {
        var head = data.slice(0, PREFACE.length);
        if (begins(head, HANDSHAKE)) {
            found = 'tls';
        } else if (begins(head, PREFACE)) {
            found = 'http2';
        } else if (may(head, HANDSHAKE, flags.last) || may(head, PREFACE, flags.last)) {
            return;
        }
        s.done();
    });
}

function stream(s) {
    found = 'plain';
    s.on('upload', function (data, flags) {
        if (begins(data, HANDSHAKE)) {
            found = 'tls';
        } else if (may(data, HANDSHAKE, flags.last)) {
            return;
        }
        s.done();
    });
}

function socket() {
    return found;
}

export default {requests, stream, socket};
