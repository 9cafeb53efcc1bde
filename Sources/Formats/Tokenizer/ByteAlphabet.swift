/// The 256 characters that stand for the 256 bytes in a byte-level vocabulary.
///
/// Printable bytes of Latin-1 stand for themselves, the others for U+0100, U+0101, … in order.
/// Source: GPT-2 (Radford et al. 2019), `bytes_to_unicode` of its encoder.
enum ByteAlphabet {
    /// The character of each byte.
    static let scalars: [Unicode.Scalar] = {
        var next: UInt32 = 0x100
        return (0...255 as ClosedRange<UInt8>).map { byte in
            switch byte {
            case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF:
                return Unicode.Scalar(byte)
            default:
                defer { next += 1 }
                return Unicode.Scalar(next) ?? Unicode.Scalar(byte)
            }
        }
    }()

    /// The byte of each character from U+0000 on; -1 for a character that stands for none.
    private static let bytes: [Int16] = {
        var bytes = [Int16](repeating: -1, count: Int(scalars.map(\.value).max() ?? 0) + 1)
        for (byte, scalar) in scalars.enumerated() { bytes[Int(scalar.value)] = Int16(byte) }
        return bytes
    }()

    /// Appends the text that stands for `raw`, as UTF-8.
    static func encode(_ raw: Span<UInt8>, into text: inout [UInt8]) {
        for index in raw.indices { text.append(scalar: scalars[Int(raw[index])].value) }
    }

    /// The bytes that `text` stands for, or nil when one of its characters stands for none.
    static func decode(_ text: Span<UInt8>) -> [UInt8]? {
        var raw: [UInt8] = []
        raw.reserveCapacity(text.count)
        var index = 0
        while index < text.count {
            let (scalar, length) = text.scalar(at: index)
            guard scalar < bytes.count, bytes[Int(scalar)] >= 0 else { return nil }
            raw.append(UInt8(truncatingIfNeeded: bytes[Int(scalar)]))
            index += length
        }
        return raw
    }
}
