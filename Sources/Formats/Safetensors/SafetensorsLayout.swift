/// Where each tensor goes in a safetensors file to be written.
///
/// The data begins at a multiple of the page size: the header is filled up with spaces, as the format allows.
package struct SafetensorsLayout {
    /// The first bytes of the file: length, JSON and spaces.
    package let header: [UInt8]
    /// The names of the tensors in the order of their data.
    let names: [String]
    /// The whole file's size.
    package let byteCount: Int

    /// Where data begins.
    package static let alignment = 4096

    /// Lays out a file.
    ///
    /// Tensors with large elements come first, so that every one is aligned; else their order stays.
    package init(_ tensors: [(name: String, expression: TensorExpression)], metadata: [String: String]) {
        let ordered = tensors.enumerated().sorted { left, right in
            let (first, second) = (left.element.expression.type.bits, right.element.expression.type.bits)
            return first == second ? left.offset < right.offset : first > second
        }.map(\.element)
        var members = JSONObject()
        if !metadata.isEmpty {
            var text = JSONObject()
            for (key, value) in metadata.sorted(by: { $0.key < $1.key }) { text[key] = .string(value) }
            members[SafetensorsHeader.metadataKey] = .object(text)
        }
        var offset = 0
        for (name, tensor) in ordered {
            let end = offset + tensor.byteCount
            members[name] = [
                "dtype": .string(tensor.type.rawValue), "shape": .array(tensor.shape.map { JSON($0) }),
                "data_offsets": [JSON(offset), JSON(end)],
            ]
            offset = end
        }
        let json = JSON.object(members).serialized(indent: nil)
        let length = (json.count + 8 + Self.alignment - 1) / Self.alignment * Self.alignment - 8
        let spaces = [UInt8](repeating: UInt8(ascii: " "), count: length - json.count)
        header = (0..<8).map { UInt8(truncatingIfNeeded: length >> ($0 * 8)) } + json + spaces
        names = ordered.map(\.name)
        byteCount = header.count + offset
    }
}

/// How tensors are spread over files no larger than a given size, in order, as Hugging Face does it.
func split<Names: Sequence<String>>(
    _ names: Names, sizes: (String) -> Int, into largest: Int
) -> [[String]] {
    var shards: [[String]] = []
    var current: [String] = []
    var filled = 0
    for name in names {
        let size = sizes(name)
        if size > largest {
            shards.append([name])
            continue
        }
        if filled + size > largest {
            shards.append(current)
            (current, filled) = ([], 0)
        }
        current.append(name)
        filled += size
    }
    if !current.isEmpty { shards.append(current) }
    return shards
}
