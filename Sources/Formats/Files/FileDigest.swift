internal import COpenSSL

/// SHA-256 in hexadecimal, as the Hugging Face hub lists it for each file.
package enum FileDigest {
    /// The digest of bytes.
    package static func sha256(_ bytes: [UInt8]) -> String {
        let digest = SHA256()
        unsafe digest.update(bytes.span.bytes)
        return digest.finish()
    }

    /// The first 96 bits of the digest of bytes.
    package static func sha256Start(_ bytes: [UInt8]) -> (high: UInt64, low: UInt32) {
        let digest = SHA256()
        unsafe digest.update(bytes.span.bytes)
        let start = digest.finishBytes().prefix(12)
        return (
            start.prefix(8).reduce(0) { $0 << 8 | UInt64($1) },
            start.suffix(4).reduce(0) { $0 << 8 | UInt32($1) }
        )
    }

    /// The digest of tensors: of each its name, type, shape and bytes.
    package static func sha256(_ tensors: [(name: String, tensor: TensorExpression)]) throws(UserFacingError)
        -> String
    {
        let digest = SHA256()
        var buffer = [UInt8](repeating: 0, count: 4 << 20)
        for (name, tensor) in tensors {
            unsafe digest.update(Array("\(name) \(tensor.type.rawValue) \(tensor.shape)\n".utf8).span.bytes)
            let size = tensor.chunkSize(atMost: buffer.count)
            for start in stride(from: 0, to: tensor.byteCount, by: max(size, 1)) {
                let count = min(size, tensor.byteCount - start)
                if buffer.count < count { buffer = [UInt8](repeating: 0, count: count) }
                var span = buffer.mutableSpan
                var all = unsafe span.mutableBytes
                var room = all._mutatingExtracting(0..<count)
                try tensor.read(start..<start + count, into: &room)
                unsafe digest.update(buffer.span.bytes.extracting(0..<count))
            }
        }
        return digest.finish()
    }

    /// The digest of a whole file.
    package static func sha256(_ file: InputFile) throws(UserFacingError) -> String {
        try sha256(file, isCancelled: { false })
    }

    /// The digest of a whole file.
    ///
    /// - Parameters:
    ///   - file: the file.
    ///   - isCancelled: asked often; true stops.
    /// - Returns: the digest, in hexadecimal.
    /// - Throws: ``UserFacingError`` when the file can't be read, or when it was stopped.
    package static func sha256(_ file: InputFile, isCancelled: () -> Bool) throws(UserFacingError) -> String {
        let digest = SHA256()
        var buffer = [UInt8](repeating: 0, count: min(1 << 20, max(file.size, 1)))
        var offset = 0
        while offset < file.size {
            if isCancelled() { throw .interrupted }
            let count = min(buffer.count, file.size - offset)
            var span = buffer.mutableSpan
            var all = unsafe span.mutableBytes
            var room = all._mutatingExtracting(0..<count)
            try file.read(at: offset, into: &room)
            unsafe digest.update(buffer.span.bytes.extracting(0..<count))
            offset += count
        }
        return digest.finish()
    }
}

/// A SHA-256 being computed by OpenSSL's libcrypto, which frees what it needs for that when the value goes away.
@safe struct SHA256: ~Copyable {
    private let context: OpaquePointer

    init() {
        guard let context = unsafe EVP_MD_CTX_new(),
            unsafe EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1
        else { preconditionFailure("libcrypto has no memory or no SHA-256") }
        unsafe self.context = unsafe context
    }

    deinit { unsafe EVP_MD_CTX_free(context) }

    /// Adds bytes behind those before.
    func update(_ bytes: RawSpan) {
        let status = unsafe bytes.withUnsafeBytes {
            unsafe EVP_DigestUpdate(context, $0.baseAddress, $0.count)
        }
        precondition(status == 1, "libcrypto could not go on with a SHA-256")
    }

    /// The digest of all bytes, in hexadecimal.
    consuming func finish() -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(
            decoding: finishBytes().flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// The digest of all bytes.
    consuming func finishBytes() -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        let status = unsafe EVP_DigestFinal_ex(context, &digest, nil)
        precondition(status == 1, "libcrypto could not end a SHA-256")
        return digest
    }
}
