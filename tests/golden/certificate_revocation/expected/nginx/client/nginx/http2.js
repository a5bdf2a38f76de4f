// Which protocol a client speaks, by the first bytes that it sends. One connection, one run of this file.

var PREFACE = 'PRI * HTTP/2.0';
var found = 'http1';

function look(s) {
    s.on('upload', function (data, flags) {
        var head = data.slice(0, PREFACE.length);
        if (head === PREFACE) {
            found = 'http2';
        } else if (PREFACE.startsWith(head) && !flags.last) {
            return;
        }
        s.done();
    });
}

function spoken() {
    return found;
}

export default {look, spoken};
