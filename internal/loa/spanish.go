package loa

var spanish = Words{
	Language: "es",

	Title:    "Carta de autorización",
	Subtitle: "Alojamiento de mensajes de texto (SMS y MMS) en números de teléfono que permanecen con su operador",

	Authority: "Soy titular de los números de teléfono que figuran en esta carta, o el titular me ha autorizado a actuar en su nombre, y tengo al menos 18 años.",
	Scope:     "Autorizo a {provider} y a sus agentes a alojar los mensajes de texto (SMS y MMS) de estos números de teléfono: a enviar y recibir mensajes con ellos y a comunicarlo en mi nombre a los operadores y a los registros de numeración.",
	NotAPort:  "Esto no es una portabilidad. El servicio de voz no cambia, ni tampoco el operador actual ni el contrato con él. No se transfiere ningún número de teléfono.",
	Validity:  "Esta autorización es válida desde la fecha de mi firma hasta que yo, o el titular, la revoquemos por escrito ante {provider}.",

	Consent: "Acepto firmar esta carta por medios electrónicos. Entiendo que mi firma electrónica tiene el mismo efecto que una firma en papel, que puedo rechazarla y que puedo guardar e imprimir una copia de la carta firmada.",

	Parties: "Partes", Subscriber: "Titular", Address: "Dirección del servicio", Carrier: "Operador actual", Provider: "Proveedor de mensajería",
	Signer: "Persona autorizada", Name: "Nombre", JobTitle: "Cargo", Email: "Correo electrónico", Phone: "Teléfono",
	Numbers: "Números de teléfono", Number: "Número", Order: "Orden del número alojado", OrderUnknown: "número de esta orden",
	Statements: "Autorización", ConsentHeading: "Consentimiento para firmar electrónicamente",
	Signature: "Firma", SignedBy: "Firmado electrónicamente por", SignedAt: "Fecha", NotSigned: "Sin firmar",
	Document: "Documento", WordsVersion: "Versión del texto", Page: "Página", NotGiven: "no indicado",
	Evidence: "Evidencia", EvidenceLead: "Lo que ocurrió con este documento, tal como consta en el registro de {provider}. Las horas son UTC.",
	At: "Hora", Happened: "Suceso",
}
