internal import Crypto

/// SHA-256 in hexadecimal, as the Hugging Face hub lists it for each file.
package enum FileDigest {
    /// The digest of bytes.
    static func sha256(_ bytes: [UInt8]) -> String { hexadecimal(SHA256.hash(data: bytes)) }

    /// The digest of a whole file; nil when `isCancelled` says so first.
    package static func sha256(
        _ file: SourceFile, isCancelled: () -> Bool
    ) throws(FileError) -> String? {
        var digest = SHA256()
        var buffer = [UInt8](repeating: 0, count: min(1 << 20, max(file.size, 1)))
        var offset = 0
        while offset < file.size {
            if isCancelled() { return nil }
            let count = min(buffer.count, file.size - offset)
            var span = buffer.mutableSpan
            var all = unsafe span.mutableBytes
            var room = all._mutatingExtracting(0..<count)
            try file.read(at: offset, into: &room)
            unsafe buffer.withUnsafeBytes { bytes in
                unsafe digest.update(bufferPointer: UnsafeRawBufferPointer(rebasing: bytes[0..<count]))
            }
            offset += count
        }
        return hexadecimal(digest.finalize())
    }

    private static func hexadecimal(_ digest: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(
            decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
