// The subject of a caller's certificate, if that names it once: one URI in it, and that the subject's.

function hexadecimal(buffer) {
    return buffer.toString('hex').toUpperCase();
}

function subject(s) {
    // Who is in plaintext has no subject at all.
    var found = s.variables.ssl_client_s_dn || '';
    var name = /^CN=([^,]+),/.exec(found);
    if (!name) {
        return found;
    }
    var encoded = s.variables.ssl_client_raw_cert.replace(/-----[A-Z ]+-----/g, '').replace(/\s/g, '');
    var names = hexadecimal(Buffer.from(name[1])) + ':' + hexadecimal(Buffer.from(encoded, 'base64'));
    return new RegExp(s.variables.names_one).test(names) ? found : 'nobody';
}

export default {subject};
