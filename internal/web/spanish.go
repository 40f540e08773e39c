package web

var spanish = texts{
	Language: "es", Other: "English", OtherTag: "en",

	Front:       say{Title: "Cartas de autorización", Lead: "Aquí se muestran las cartas de autorización de números de teléfono a las personas que deben firmarlas. Para abrir la suya, use el enlace del correo que recibió."},
	Nowhere:     say{Title: "Esta página no existe", Lead: "Para abrir una carta de autorización, use el enlace del correo que recibió."},
	Unknown:     say{Title: "Este enlace no es válido", Lead: "Puede que falte una parte. Ábralo de nuevo desde el correo o cópielo entero en la barra de direcciones."},
	Replaced:    say{Title: "Este enlace ha sido sustituido", Lead: "La carta se modificó después de enviar este enlace, y el correo más reciente es para %s. Use el enlace de ese correo. Si la dirección no es suya, no tiene que hacer nada."},
	Recalled:    say{Title: "La carta se ha retirado", Lead: "Se retiró para modificarla después de enviar este enlace. Si hay un correo más reciente, use el enlace que contiene. Si no lo hay, no tiene que hacer nada."},
	Expired:     say{Title: "Este enlace ha caducado", Lead: "Podía usarse hasta el %s. Si la carta aún debe firmarse, responda al correo y pida un enlace nuevo."},
	Unavailable: say{Title: "Inténtelo de nuevo en un momento", Lead: "En este momento no se puede mostrar la carta. Su enlace sigue siendo válido."},
	TooMany:     say{Title: "Demasiadas solicitudes", Lead: "Se ha pedido esta página muchas veces en poco tiempo. Espere un momento y ábrala de nuevo. Su enlace sigue siendo válido."},
	Foreign:     say{Title: "Esto no se envió desde nuestra página", Lead: "Otro sitio web intentó responder a la carta en su lugar. Nada ha cambiado. Abra el enlace del correo y responda allí."},

	DownloadExpired: say{Title: "Este enlace ha vencido", Lead: "La carta firmada se podía descargar aquí hasta el %s. Si la necesita de nuevo, responda al correo y pídala."},

	Ready:     say{Status: "Pendiente de su firma"},
	Thanks:    say{Status: "Firmada", Title: "Gracias, la carta está firmada", Lead: "Ha comenzado el registro de los números de teléfono y un correo que lo confirma va de camino. Puede cerrar esta página."},
	Signed:    say{Status: "Firmada", Lead: "Esta carta ya está firmada. No queda nada por hacer."},
	Declined:  say{Status: "Rechazada", Lead: "La persona a la que se pidió firmar esta carta la ha rechazado. Ya no se puede firmar y no se registrará nada."},
	Declining: say{Status: "Rechazada", Title: "Ha rechazado esta carta", Lead: "No se registrará nada y se avisa a la empresa que envió la carta. Puede cerrar esta página."},
	NotYou:    say{Status: "Rechazada", Title: "Gracias por avisarnos", Lead: "La carta termina aquí y se avisa a la empresa que la envió de que usted no es la persona indicada. No se registrará nada. Puede cerrar esta página."},
	Withdrawn: say{Status: "Retirada", Lead: "La empresa que envió esta carta la ha retirado. Ya no se puede firmar y no queda nada por hacer."},
	Closed:    say{Status: "Cerrada", Lead: "Esta carta ya no se puede firmar. Si debiera firmarse, responda al correo y pida una nueva."},

	ConfirmDecline: say{Status: "Aún sin rechazar", Title: "¿Rechaza esta carta?", Lead: "Todavía no ha cambiado nada. Si pulsa el botón, la carta termina: ya no se podrá firmar, no se registrará nada y se avisará a la empresa que envió la carta. No se puede deshacer."},
	ConfirmNotMe:   say{Status: "Aún sin enviar", Title: "¿No es usted la persona indicada?", Lead: "Todavía no ha cambiado nada. Si pulsa el botón, la carta termina: ya no se podrá firmar, no se registrará nada y se avisará a la empresa que envió la carta de que usted no es la persona indicada. No se puede deshacer."},

	Changed: "La carta cambió mientras la leía. No se ha firmado nada. Léala de nuevo; así está ahora.",
	Busy:    "No pudimos asegurarnos de que su respuesta quedara registrada. Inténtelo de nuevo en un momento: aunque la envíe varias veces, cuenta una sola vez.",
	Failed:  "Algo falló por nuestra parte y su respuesta no quedó registrada. Inténtelo más tarde o responda al correo.",

	NotNow: "En este momento no podemos recibir firmas: un reloj de nuestro lado está mal y su firma llevaría una fecha equivocada. No se ha firmado nada. Inténtelo de nuevo más tarde; su enlace sigue siendo válido.",

	Good: "Enlace válido hasta el %s",

	Asks:      "%s le pide que firme esta carta para poder alojar los mensajes de texto de los números de teléfono que figuran más abajo.",
	DoesTitle: "Qué implica firmar", DoesNotTitle: "Qué no implica firmar",
	Does:      []string{"Los mensajes de texto (SMS y MMS) de estos números podrán enviarse y recibirse a través del proveedor de mensajería.", "Los números se registran para mensajería en cuanto usted firma."},
	DoesNot:   []string{"No se traslada ningún número: esto no es una portabilidad.", "Las llamadas de voz, su operador y su contrato con él no cambian."},
	ToTheForm: "Ir a la firma", TheLetter: "La carta", ReadPDF: "Leer la carta en PDF", SaveSigned: "Descargar la carta firmada (PDF)",
	SignedOn: "Firmada el",

	FormTitle: "Firmar la carta", Name: "Su nombre completo", NameHelp: "Figura al pie de la carta como su firma.",
	JobTitle: "Su cargo (opcional)", TitleHelp: "Por ejemplo, propietaria o gerente.",
	Statements: "He leído la carta y acepto sus declaraciones.", Consent: "Acepto firmar por medios electrónicos.",
	Draw: "Su firma dibujada (opcional)", DrawHelp: "Dibuje con el dedo, un lápiz o el ratón. La carta es igual de válida sin dibujo.",
	DrawLabel: "Campo para dibujar su firma", Clear: "Borrar el dibujo", Sign: "Firmar la carta",
	DeclineTitle: "No quiero firmar", DeclineLead: "Cada una de estas dos respuestas termina la carta y se avisa a quien la envió. Antes se le preguntará una vez más.",
	DeclineHeading: "Rechazar", Reason: "Motivo (opcional)", ReasonHelp: "Lo leerá quien envió la carta.", Decline: "Rechazar la firma",
	DeclinesAlone: "En nombre del titular, rechazo firmar esta carta.", DeclinesFor: "En nombre del titular, %s, rechazo firmar esta carta.",
	NotMe: "No soy la persona indicada", NotMeLead: "Esta carta debía llegar a otra persona.",
	Person: "¿Quién es la persona indicada? (opcional)", PersonHelp: "Un nombre, un cargo o una dirección. Lo leerá quien envió la carta.",
	WrongPerson: "No soy la persona que debe firmar esta carta.",
	YouState:    "Usted declara", YourReason: "Su motivo", RightPerson: "La persona indicada",
	YesDecline: "Sí, rechazar la carta", YesNotMe: "Sí, no soy la persona indicada", Back: "Volver a la carta, sin responder",

	Errors: "Corrija primero lo siguiente", ErrorPrefix: "Error en el formulario: ",
	NoName: "Escriba su nombre completo", BadName: "Su nombre puede tener como máximo 120 caracteres, sin saltos de línea ni caracteres ocultos que cambien el sentido de la escritura",
	BadTitle: "Su cargo puede tener como máximo 120 caracteres, al menos uno de ellos visible, sin saltos de línea ni caracteres ocultos que cambien el sentido de la escritura", NoAuthority: "Marque que es titular o que actúa en nombre del titular",
	NoStatements: "Marque que ha leído la carta y la acepta", NoConsent: "Marque que acepta firmar por medios electrónicos",
	BadDrawn:  "No se pudo leer el dibujo; bórrelo y dibuje de nuevo, o déjelo en blanco",
	BadReason: "El motivo puede tener como máximo 1000 caracteres", NoDeclines: "Marque que rechaza firmar",
	BadPerson:     "La persona indicada puede ocupar como máximo 200 caracteres, sin saltos de línea ni caracteres ocultos que cambien el sentido de la escritura",
	NoWrongPerson: "Marque que no es la persona que debe firmar",

	NoGlyph:     "La carta no puede imprimir el carácter %s. Escríbalo con letras latinas, griegas o cirílicas",
	Unprintable: "Todavía no se puede firmar la carta: no puede imprimir un carácter de «%s», %s. Responda al correo que le trajo aquí y pida una carta que lo tenga en letras latinas, griegas o cirílicas.",
}
