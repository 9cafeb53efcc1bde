internal import Foundation

extension JSON {
    /// What a value encodes itself as, its keys sorted.
    ///
    /// JSON has no word for infinity and for what is no number, so null stands for them.
    ///
    /// - Throws: what the value itself throws.
    public init(encoding value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: Self.notFinite, negativeInfinity: Self.notFinite, nan: Self.notFinite)
        self = try JSON(parsing: [UInt8](try encoder.encode(value)), file: "an encoded value")
            .replacingNotFinite
    }

    /// What stands for a number that is not finite until it becomes null; no text has this character.
    private static let notFinite = "\u{0}not finite"

    private var replacingNotFinite: JSON {
        switch self {
        case .string(Self.notFinite): return .null
        case .array(let values): return .array(values.map(\.replacingNotFinite))
        case .object(var members):
            for (key, value) in members { members[key] = value.replacingNotFinite }
            return .object(members)
        default: return self
        }
    }

    /// The value that this is the encoding of.
    ///
    /// - Throws: `DecodingError` when it is of no such value.
    public func decoded<Value: Decodable>(as type: Value.Type) throws -> Value {
        try JSONDecoder().decode(type, from: Data(serialized(indent: nil)))
    }
}

extension JSON {
    /// The value as it would stand in a file, on one line.
    package var text: String { String(decoding: serialized(indent: nil), as: UTF8.self) }
}

/// Inside other values it is what it is; the order of keys and the spelling of numbers are then the coder's.
extension JSON: Codable {
    /// Reads whatever there is.
    public init(from decoder: any Swift.Decoder) throws {
        if let members = try? decoder.container(keyedBy: AnyKey.self) {
            var object = JSONObject()
            for key in members.allKeys {
                object[key.stringValue] = try members.decode(JSON.self, forKey: key)
            }
            self = .object(object)
        } else if var elements = try? decoder.unkeyedContainer() {
            var array: [JSON] = []
            while !elements.isAtEnd { array.append(try elements.decode(JSON.self)) }
            self = .array(array)
        } else {
            let value = try decoder.singleValueContainer()
            if value.decodeNil() {
                self = .null
            } else if let flag = try? value.decode(Bool.self) {
                self = .bool(flag)
            } else if let number = try? value.decode(Int.self) {
                self = JSON(number)
            } else if let number = try? value.decode(Double.self) {
                self = JSON(number)
            } else {
                self = .string(try value.decode(String.self))
            }
        }
    }

    /// Writes it as what it is.
    public func encode(to encoder: any Encoder) throws {
        switch self {
        case .object(let object):
            var members = encoder.container(keyedBy: AnyKey.self)
            for (key, value) in object { try members.encode(value, forKey: AnyKey(stringValue: key)) }
        case .array(let array):
            var elements = encoder.unkeyedContainer()
            for value in array { try elements.encode(value) }
        default:
            var container = encoder.singleValueContainer()
            switch self {
            case .bool(let flag): try container.encode(flag)
            case .string(let text): try container.encode(text)
            case .number(let number):
                if let whole = number.int {
                    try container.encode(whole)
                } else {
                    try container.encode(number.double)
                }
            default: try container.encodeNil()
            }
        }
    }
}

/// A key of an object, whatever it is.
private struct AnyKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}
